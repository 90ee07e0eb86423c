"""The header of one DICOM object as a PS3.18 JSON model, and the checks an object must pass to be kept.

The header holds every element but pixels, private ones too. An element above `MAX_BULK_BYTES` keeps its
tag and value representation and loses its value. A value that its own representation cannot express
(`abc` in an integer string) is kept as bytes (`InlineBinary`), so that nothing received is lost.
"""

from __future__ import annotations

import base64
import json
import logging
import math
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from typing import Any

from pydicom import config
from pydicom.datadict import dictionary_has_tag, dictionary_VR
from pydicom.dataset import Dataset
from pydicom.filereader import read_dataset
from pydicom.tag import BaseTag
from pydicom.uid import UID

from medlake.sources.dicom_element import Element
from medlake.sources.dicom_stream import (
    MAX_BULK_BYTES,
    MAX_HEADER_BYTES,
    PIXEL_TAGS,
    WHOLE,
    BrokenObjectError,
    Structure,
)
from medlake.sources.dicom_values import Header, NotPlainError, Read, plain_header

Model = dict[str, dict[str, Any]]  # tag → the element as pydicom tells it
NO_BULK_HANDLER = MAX_BULK_BYTES * 2  # base64 length no kept value reaches
BLOCK_BYTES = 64 * 1024
# What pydicom must know to read other elements: character set, bits, sign and number of values of pixels.
SAYING = frozenset({0x00080005, 0x00280100, 0x00280103, 0x00283002})
IDENTIFIERS = {
    "sop_instance_uid": "00080018",
    "study_uid": "0020000D",
    "series_uid": "0020000E",
    "sop_class_uid": "00080016",
}
UID_FORM = re.compile(r"[0-9.]{1,64}")  # PS3.5 9.1
PIXEL_PROVIDER = "00287FE0"  # Pixel Data Provider URL: the pixels are elsewhere on purpose
VIDEO_SYNTAX = "1.2.840.10008.1.2.4.10"  # MPEG-2, MPEG-4, HEVC: one fragment may hold all frames
# Classes with mandatory pixels whose names do not end in "Image Storage".
PIXEL_CLASSES = ("Segmentation Storage", "Parametric Map Storage")
# A cut between two elements leaves a well-formed stream: only a late mandatory element (type 1 of PS3.3) that
# is absent shows it. Part of the class's name → the element.
LATE_MANDATORY = {
    "RT Dose Storage": "30040004",  # Dose Type
    "RT Plan Storage": "300A000C",  # RT Plan Geometry
    "RT Structure Set Storage": "30060080",  # RT ROI Observations Sequence
    " SR Storage": "0040A493",  # Verification Flag
    "Key Object Selection": "0040A040",  # Value Type
    "Waveform Storage": "54000100",  # Waveform Sequence
    "Encapsulated": "00420011",  # Encapsulated Document
}


_encoded = json.JSONEncoder(sort_keys=True, separators=(",", ":"), allow_nan=False).encode


@contextmanager
def quiet_pydicom() -> Iterator[None]:
    """pydicom's warnings and log lines quote values, which must not reach an executor's log."""
    log, settings = logging.getLogger("pydicom"), config.settings
    was, mode = log.disabled, settings.reading_validation_mode
    log.disabled, settings.reading_validation_mode = True, config.IGNORE
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        log.disabled, settings.reading_validation_mode = was, mode


def read_header(found: Structure) -> Header:
    """The JSON model of a walked stream, element by element.

    Raises:
        BrokenObjectError: `file_unreadable` when the kept elements exceed `MAX_HEADER_BYTES`.
    """
    bulk: Header = {}
    kept: list[Element] = []
    n_bytes = 0
    for element in found.elements:
        if element.tag in PIXEL_TAGS:
            continue
        if element.vr != "SQ" and element.end - element.value > MAX_BULK_BYTES:
            bulk[f"{element.tag:08X}"] = _encoded({"vr": element.vr.rpartition(" ")[2]})
            continue
        n_bytes += element.end - element.start
        if n_bytes > MAX_HEADER_BYTES:
            raise BrokenObjectError("file_unreadable", f"the header is larger than {MAX_HEADER_BYTES} bytes")
        kept.append(element)
    read = _reader(found)
    try:
        plain, odd = plain_header(kept, read, little=found.coding.little)
    except NotPlainError:
        plain, odd = {}, kept
    return plain | _by_pydicom(found, kept, odd, read) | bulk


def _reader(found: Structure) -> Read:
    """Bytes of the data set by place and length; its start, where most headers end, is read once."""
    first = found.elements[0].start if found.elements else 0
    found.stream.seek(first)
    block = found.stream.read(BLOCK_BYTES)

    def read(at: int, n: int) -> bytes:
        if at + n - first <= len(block):
            return block[at - first : at - first + n]
        found.stream.seek(at)
        return found.stream.read(n)

    return read


def _by_pydicom(found: Structure, kept: list[Element], odd: list[Element], read: Read) -> Header:
    """The model of the elements that are not plain, read with those that say how."""
    if not odd:
        return {}
    wanted = {element.tag for element in odd}
    groups = {tag >> 16 for tag in wanted if tag & 0x10000}
    spread = len(wanted) * 2 > len(kept)
    told = BytesIO()
    for element in kept:
        tag = element.tag
        creates = tag >> 16 in groups and 0x10 <= tag & 0xFFFF <= 0xFF
        if spread or tag in wanted or tag in SAYING or creates:
            told.write(read(element.start, element.end - element.start))
    told.seek(0)
    dataset = read_dataset(told, found.coding.implicit, found.coding.little)
    return {f"{tag:08X}": _encoded(_json_element(dataset, tag)) for tag in dataset.keys() if tag in wanted}  # noqa: SIM118


def value(header: Header, tag: str) -> str | None:
    """The values of an element as one text (several are joined by a backslash), or None when empty."""
    if tag not in header:
        return None
    values = json.loads(header[tag]).get("Value") or []
    text = "\\".join("" if v is None else str(v) for v in values).strip("\0 ")
    return text.encode("utf-8", "replace").decode("utf-8") or None


def check(found: Structure, header: Header) -> None:
    """What an object must have to be kept: identifiers, patient, modality, whole pixels.

    Raises:
        BrokenObjectError: `dicom_uid_missing`, `dicom_patient_missing`, `dicom_modality_missing`,
            `dicom_pixels_missing` or `dicom_truncated`.
    """
    for name, tag in IDENTIFIERS.items():
        if not UID_FORM.fullmatch(value(header, tag) or ""):
            raise BrokenObjectError("dicom_uid_missing", f"{name} ({tag}) is absent or is no UID")
    if value(header, "00100020") is None:
        raise BrokenObjectError("dicom_patient_missing", "PatientID (00100020) is absent or empty")
    if value(header, "00080060") is None:
        raise BrokenObjectError("dicom_modality_missing", "Modality (00080060) is absent or empty")
    class_name = str(UID(value(header, "00080016") or "").name)
    for part, tag in LATE_MANDATORY.items():
        if part in class_name and tag not in header:
            raise BrokenObjectError("dicom_truncated", f"the mandatory element {tag} is absent")
    pixels = pixel_element(found)
    if pixels is None:
        if _is_image(class_name, header) and PIXEL_PROVIDER not in header:
            raise BrokenObjectError("dicom_pixels_missing", "an image without pixel data")
        return
    _check_pixel_length(found, header, pixels)


def pixel_element(found: Structure) -> Element | None:
    """The element that holds the pixels; None when there is none or it is empty."""
    held = [e for e in found.elements if e.tag in PIXEL_TAGS and e.end > e.value and e.fragments != 0]
    return held[0] if held else None


def _is_image(class_name: str, header: Header) -> bool:
    of_class = class_name.endswith("Image Storage") or class_name.startswith(PIXEL_CLASSES)
    return of_class or "00280010" in header


def _check_pixel_length(found: Structure, header: Header, pixels: Element) -> None:
    """Pixels must be as many as the header says; skipped where the header does not say it in numbers."""
    n_frames = _integer(header, "00280008") or 1
    if pixels.fragments >= 0:
        if pixels.fragments < n_frames and not found.transfer_syntax.startswith(VIDEO_SYNTAX):
            raise BrokenObjectError("dicom_truncated", f"{pixels.fragments} fragments for {n_frames} frames")
        return
    sizes = [_integer(header, tag) for tag in ("00280010", "00280011", "00280100")]
    samples = _integer(header, "00280002") or 1
    if any(size is None for size in sizes):
        return
    n_bits = math.prod(size or 0 for size in sizes) * samples * n_frames
    if value(header, "00280004") == "YBR_FULL_422":
        n_bits = n_bits * 2 // 3  # two pixels share their colour samples
    held = pixels.end - pixels.value
    if held < n_bits // 8:
        raise BrokenObjectError("dicom_truncated", f"{held} bytes of pixels where {n_bits // 8} are due")


def _integer(header: Header, tag: str) -> int | None:
    text = value(header, tag)
    return int(text) if text is not None and text.isdecimal() else None


def _json_model(dataset: Dataset) -> Model:
    return {f"{tag:08X}": _json_element(dataset, tag) for tag in dataset.keys() if tag not in PIXEL_TAGS}  # noqa: SIM118


def _json_element(dataset: Dataset, tag: BaseTag) -> dict[str, Any]:
    raw = dataset.get_item(tag)
    size = len(raw.value) if isinstance(getattr(raw, "value", None), bytes) else 0
    known = dictionary_VR(tag) if dictionary_has_tag(tag) else "UN"
    vr = str(raw.VR or known)  # implicit elements do not say theirs: a long sequence must not be taken for bulk
    if vr != "SQ" and size > MAX_BULK_BYTES and tag not in WHOLE:
        return {"vr": vr}
    held = raw.value if size else b""
    try:
        element = dataset[tag]
        if element.VR == "SQ":
            return {"vr": "SQ", "Value": [_json_model(item) for item in element.value]}
        model = dict(element.to_json_dict(None, NO_BULK_HANDLER))
    except Exception:  # pydicom raises whatever its value parsers raise; the bytes are kept instead
        return {"vr": vr, "InlineBinary": base64.b64encode(held).decode("ascii")}
    if "Value" in model:
        model["Value"] = [_finite(v) for v in model["Value"]]
    return model


def _finite(number: Any) -> Any:
    """JSON has no NaN or infinity: they become the texts `nan`, `inf`, `-inf`."""
    return str(number) if isinstance(number, float) and not math.isfinite(number) else number
