"""Values that are told without pydicom are told as pydicom tells them."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pydicom
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pydicom.data import DATA_ROOT, get_testdata_file
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from medlake.sources import dicom_header, dicom_values
from medlake.sources.dicom_element import Element
from medlake.sources.dicom_header import quiet_pydicom, read_header
from medlake.sources.dicom_stream import BrokenObjectError, structure
from medlake.sources.dicom_values import PLAIN, NotPlainError, as_text, plain_header

SOUND = [p for p in sorted(Path(DATA_ROOT).rglob("*")) if p.is_file()]
TEXT = st.text(alphabet=" \t\n\\^=\0\x1bAbc.-+19eE/é", max_size=20).map(lambda text: text.encode("latin-1"))


def by_pydicom(monkeypatch: pytest.MonkeyPatch, data: bytes) -> str:
    """The header with every element left to pydicom."""

    def nothing(*_: object, **__: object) -> None:
        raise NotPlainError

    with monkeypatch.context() as patched, quiet_pydicom():
        patched.setattr(dicom_header, "plain_header", nothing)
        return as_text(read_header(structure(io.BytesIO(data), len(data))))


def told(data: bytes) -> str:
    with quiet_pydicom():
        return as_text(read_header(structure(io.BytesIO(data), len(data))))


def test_the_headers_of_all_bundled_files_are_told_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    compared = 0
    for path in SOUND:
        data = path.read_bytes()
        try:
            structure(io.BytesIO(data), len(data))
        except BrokenObjectError:
            continue
        assert told(data) == by_pydicom(monkeypatch, data), path.name
        compared += 1
    assert compared > 100


def test_most_elements_need_no_second_look() -> None:
    data = Path(str(get_testdata_file("CT_small.dcm"))).read_bytes()
    found = structure(io.BytesIO(data), len(data))
    _, odd = plain_header(found.elements, lambda at, n: data[at : at + n], little=True)
    assert [f"{e.tag:08X}" for e in odd] == []


def model_of_pydicom(vr: str, raw: bytes) -> object:
    element = pydicom.dataelem.RawDataElement(pydicom.tag.Tag(0x00081030), vr, len(raw), raw, 0, False, True)
    with quiet_pydicom():
        dataset = Dataset({element.tag: element})
        return dicom_header._json_element(dataset, element.tag)


@pytest.mark.parametrize("vr", sorted(set(PLAIN) - {"UN"}))
def test_a_plain_value_is_pydicoms(vr: str) -> None:
    plain = 0

    @settings(max_examples=300, deadline=None, derandomize=True)
    @given(st.one_of(TEXT, st.binary(max_size=17)))
    @example(b"12\\-3 \\+4")
    @example(b"1.50\\.5\\1e3 ")
    @example(b"1e999")
    @example(b"\0\0\xc0\x7f\0\0\x80\x7f")
    @example(b"Doe^Jane=\xff")
    @example(b"1.2.840.10008\0")
    @example(b"  ")
    @example(b"")
    def alike(raw: bytes) -> None:
        nonlocal plain
        try:
            text = PLAIN[vr](vr, raw, True)
        except NotPlainError:
            return
        plain += 1
        assert json.loads(text) == json.loads(json.dumps(model_of_pydicom(vr, raw)))

    alike()
    assert plain >= 5


def implicit(dataset: Dataset) -> bytes:
    out = io.BytesIO()
    dataset.file_meta = pydicom.dataset.FileMetaDataset()
    dataset.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.2"
    dataset.file_meta.MediaStorageSOPInstanceUID = "1.2.3"
    dataset.file_meta.TransferSyntaxUID = pydicom.uid.ImplicitVRLittleEndian
    pydicom.dcmwrite(out, dataset, implicit_vr=True, little_endian=True, enforce_file_format=True)
    return out.getvalue()


@pytest.mark.parametrize("signed", [None, 0, 1])
def test_types_that_only_other_elements_tell(monkeypatch: pytest.MonkeyPatch, signed: int | None) -> None:
    item = Dataset()
    item.add_new(0x00280120, "SS" if signed else "US", 7)
    item.PatientName = "Doe^Jane"
    dataset = Dataset()
    dataset.SpecificCharacterSet = "ISO_IR 192"
    dataset.PatientComments = "Zoë"
    dataset.add_new(0x00080000, "UL", 12)
    dataset.ReferencedImageSequence = Sequence([item])  # before the element that says the sign
    if signed is not None:
        dataset.PixelRepresentation = signed
    dataset.add_new(0x00280106, "SS" if signed else "US", -2 if signed else 2)
    block = dataset.private_block(0x0009, "GEMS_IDEN_01", create=True)
    block.add_new(0x01, "LO", "full fidelity")  # known to pydicom's dictionary
    block.add_new(0xEE, "OB", b"\1\2")  # unknown there
    dataset.add_new(0x00111099, "UN", b"\3\4")  # nobody's
    data = implicit(dataset)
    assert told(data) == by_pydicom(monkeypatch, data)


def test_text_in_an_unknown_character_set_is_left_to_pydicom() -> None:
    raw = b"utf-16"
    elements = [Element(0x00080005, "CS", 0, 0, len(raw), -1)]
    with pytest.raises(NotPlainError):
        plain_header(elements, lambda at, n: raw[at : at + n], little=True)


def test_long_values_are_not_remembered() -> None:
    raw = b"x" * (dicom_values.SHORT_BYTES + 1)
    elements = [Element(0x00204000, "LT", 0, 0, len(raw), -1)]
    before = dicom_values._short.cache_info().currsize
    header, _ = plain_header(elements, lambda at, n: raw[at : at + n], little=True)
    assert header == {"00204000": json.dumps({"Value": [raw.decode()], "vr": "LT"}, separators=(",", ":"))}
    assert dicom_values._short.cache_info().currsize == before
