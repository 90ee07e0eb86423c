"""One frame of a DICOM object as an array: every transfer syntax, within a cap, in meaningful units."""

from __future__ import annotations

import math
import zipfile
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.pixels import apply_color_lut, apply_modality_lut, pixel_array

from medlake.grammar.errors import InputRefusedError

MAX_OBJECT_BYTES = 1024**3  # of the encoded object
MAX_FRAME_BYTES = 512 * 1024**2  # of one decoded frame: a whole-slide tile or a 16k × 16k radiograph fits
MONOCHROME = ("MONOCHROME1", "MONOCHROME2")
FRAME_MACROS = ("PixelValueTransformationSequence", "FrameVOILUTSequence")
FRAME_WORDS = (
    "RescaleSlope", "RescaleIntercept", "ModalityLUTSequence", "DoseGridScaling",
    "WindowCenter", "WindowWidth",
)  # fmt: skip


class DecodeError(InputRefusedError):
    """Pixels that cannot be had from an object; the message holds no value of its header."""


@dataclass(frozen=True)
class Image:
    """One frame.

    `pixels` is float32 (rows, columns) in rescaled values (CT: HU; dose: its own unit, mostly Gy;
    others: the modality's own), or uint8
    (rows, columns, 3) as RGB. `window` (centre, width) is in the same values, None where none is given.
    `inverted` is True where the least value means white (MONOCHROME1).
    """

    pixels: NDArray[Any]
    window: tuple[float, float] | None
    inverted: bool
    sop_instance_uid: str


def read_object(uri: str, row: int) -> bytes:
    """The bytes of an object: the file at `uri`, or the `row`-th member (from 1) of the zip there.

    Raises:
        DecodeError: it is not there, cannot be unpacked, or is larger than `MAX_OBJECT_BYTES`.
    """
    try:
        if row == 0:
            if Path(uri).stat().st_size > MAX_OBJECT_BYTES:
                raise DecodeError(f"the file is larger than {MAX_OBJECT_BYTES} bytes")
            return Path(uri).read_bytes()
        with zipfile.ZipFile(uri) as archive:
            member = archive.infolist()[row - 1]
            if member.file_size > MAX_OBJECT_BYTES:
                raise DecodeError(f"member {row} is larger than {MAX_OBJECT_BYTES} bytes")
            return archive.read(member)
    except (OSError, IndexError, RuntimeError, NotImplementedError, zipfile.BadZipFile) as error:
        raise DecodeError(f"object {row} of the file cannot be opened: {type(error).__name__}") from None


def decode(data: bytes, *, frame: int | None = None) -> Image:
    """One frame of a Part 10 object, the middle one unless `frame` (from 0) is given.

    Rescale (or the modality LUT) and palettes are applied, colours become RGB. Sources: PS3.3 C.7.6.3,
    C.11.1; enhanced objects keep rescale and window in their functional groups (C.7.6.16).

    Raises:
        DecodeError: no pixels, no decoder, damaged pixels, or a frame above `MAX_FRAME_BYTES`.
    """
    try:
        dataset = pydicom.dcmread(BytesIO(data))
        _check_size(dataset)
        index = _n_frames(dataset) // 2 if frame is None else frame
        stored = pixel_array(dataset, index=index)
        words = _frame_words(dataset, index)
        photometric = str(dataset.PhotometricInterpretation)
        pixels = _rescaled(stored, words) if photometric in MONOCHROME else _colours(stored, dataset)
        return Image(pixels, _window(words), photometric == "MONOCHROME1", str(dataset.SOPInstanceUID))
    except DecodeError:
        raise
    except Exception as error:  # decoders raise whatever they like, and their messages may quote the header
        raise DecodeError(f"the pixels cannot be decoded: {type(error).__name__}") from None


def _n_frames(dataset: Dataset) -> int:
    return int(dataset.get("NumberOfFrames") or 1)


def _check_size(dataset: Dataset) -> None:
    parts = (dataset.Rows, dataset.Columns, dataset.SamplesPerPixel, max(int(dataset.BitsAllocated), 8) // 8)
    if math.prod(int(part) for part in parts) > MAX_FRAME_BYTES:
        raise DecodeError(f"a frame is larger than {MAX_FRAME_BYTES} bytes")


def _frame_words(dataset: Dataset, index: int) -> Dataset:
    """Rescale and window of one frame, from the functional groups where they are."""
    words = Dataset()
    of_frames = dataset.get("PerFrameFunctionalGroupsSequence", [])
    groups = [*dataset.get("SharedFunctionalGroupsSequence", []), *of_frames[index : index + 1]]
    macros = [group.get(name) for group in groups for name in FRAME_MACROS]
    for source in (dataset, *[macro[0] for macro in macros if macro]):
        for name in FRAME_WORDS:
            if name in source and source[name].value not in (None, ""):
                words[name] = source[name]
    return words


def _rescaled(stored: NDArray[Any], words: Dataset) -> NDArray[np.float32]:
    if stored.ndim != 2:
        raise DecodeError(f"a monochrome frame has {stored.ndim} dimensions")
    scaling = float(words.get("DoseGridScaling", 1))  # RT Dose has this in place of a rescale slope
    return np.asarray(apply_modality_lut(stored, words) * scaling, dtype=np.float32)


def _colours(stored: NDArray[Any], dataset: Dataset) -> NDArray[np.uint8]:
    """RGB in eight bits; pydicom has converted YBR already."""
    bits = int(dataset.BitsStored)
    if dataset.PhotometricInterpretation == "PALETTE COLOR":
        stored = apply_color_lut(stored, dataset)
        bits = stored.dtype.itemsize * 8
    if stored.ndim != 3 or stored.shape[2] < 3:
        raise DecodeError("a colour frame has no three samples")
    return np.asarray(stored[:, :, :3] >> max(bits - 8, 0), dtype=np.uint8)


def _window(words: Dataset) -> tuple[float, float] | None:
    """The first window, where it is one: a width below 1 is not allowed (PS3.3 C.11.2.1.2)."""
    centre, width = (np.atleast_1d(words.get(name, np.nan))[0] for name in ("WindowCenter", "WindowWidth"))
    if not (math.isfinite(float(centre)) and float(width) >= 1):
        return None
    return float(centre), float(width)
