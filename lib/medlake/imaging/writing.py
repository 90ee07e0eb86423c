"""Writing that is burned into pixels: found by Tesseract, blacked out, searched for again.

Tesseract is a program of its own (Debian: tesseract-ocr) and pytesseract calls it (extra `ocr`). What is read
never leaves this module: it names people. Figures (tests): on a real ultrasound screen every word is found.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from importlib import util
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.pixels import pixel_array
from pydicom.uid import ExplicitVRLittleEndian

from medlake.grammar.errors import MedlakeError, MissingExtraError

SURE = 50.0  # Tesseract's confidence, percent: from here on a word is taken for one
SURE_STROKES = 85.0  # likewise where only thin strokes are drawn: texture looks like letters there
LIKELY = 10.0  # beside a sure word, anything it believes in this much is blacked out too
WORD_CHARS = 3  # letters and digits; single letters are side markers (L, R)
MIN_EDGE_PX, MAX_EDGE_PX = 1024, 2400  # sizes at which small letters are read well, in bearable time
MARGIN_PX = 4
FRAME_PX = 16  # empty around a picture, or letters at its edge are not read
MOST_SHARE = 0.15  # of the picture: what is larger is no word
STROKE_PX, STROKE_PART = 9, 64  # letters have strokes thinner than these pixels, or this part of the longer edge
TAILS = (0.5, 99.5)  # percent of the values that are drawn black and white at most
TIME_LIMIT_S = 60
FRAMES = 16


class Box(NamedTuple):
    """A rectangle of pixels: x0 ≤ column < x1, y0 ≤ row < y1."""

    x0: int
    y0: int
    x1: int
    y1: int


class Found(NamedTuple):
    """What one search found: whether there is writing, and where to black out."""

    is_writing: bool
    boxes: tuple[Box, ...]


def has_engine() -> bool:
    """Whether Tesseract can be called here."""
    return util.find_spec("pytesseract") is not None and shutil.which("tesseract") is not None


def find_writing(frame: NDArray[Any]) -> Found:
    """Search one frame (rows, columns) or (rows, columns, 3) of any number type.

    Raises:
        MissingExtraError: Tesseract or pytesseract is not installed.
    """
    if not has_engine():
        raise MissingExtraError("ocr", "pytesseract (with the program tesseract)")
    sure = False
    boxes: list[Box] = []
    for picture in _renderings(frame):
        for drawn, sure_from, likely in ((picture, SURE, LIKELY), (_strokes(picture), SURE_STROKES, SURE_STROKES)):
            for scale in _scales(drawn):
                found = _read(drawn, scale, sure_from, likely)
                sure = sure or found.is_writing
                boxes += found.boxes
    return Found(sure, tuple(boxes) if sure else ())


def _renderings(frame: NDArray[Any]) -> Iterator[NDArray[np.uint8]]:
    """Grey pictures in which writing would show: by the bulk of the values, by all of them, by the brightest colour."""
    if frame.ndim == 3:
        yield np.asarray(cv2.cvtColor(frame.astype(np.uint8), cv2.COLOR_RGB2GRAY), np.uint8)
        yield frame.max(axis=2).astype(np.uint8)
        return
    values = np.nan_to_num(frame.astype(np.float32))
    low, high = np.percentile(values, TAILS)
    yield _drawn(values, low, high)
    if values.max() - values.min() > 1.5 * max(high - low, 1e-9):
        yield _drawn(values, values.min(), values.max())


def _strokes(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """What is bright and thin, whatever it lies upon (a top-hat), dark on white."""
    width = max(STROKE_PX, max(picture.shape) // STROKE_PART) | 1
    shape = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (width, width))
    return np.asarray(255 - cv2.morphologyEx(picture, cv2.MORPH_TOPHAT, shape), np.uint8)


def _drawn(values: NDArray[np.float32], low: float, high: float) -> NDArray[np.uint8]:
    drawn: NDArray[np.uint8] = (np.clip((values - low) / max(high - low, 1e-9), 0, 1) * 255).astype(np.uint8)
    return drawn


def _scales(picture: NDArray[np.uint8]) -> tuple[float, ...]:
    edge = max(picture.shape)
    if edge > MAX_EDGE_PX:
        return (MAX_EDGE_PX / edge, 1.0)
    return (max(1.0, MIN_EDGE_PX / edge), min(2 * max(1.0, MIN_EDGE_PX / edge), MAX_EDGE_PX / edge))


def _read(picture: NDArray[np.uint8], scale: float, sure_from: float, likely: float) -> Found:
    import pytesseract

    os.environ["OMP_THREAD_LIMIT"] = "1"  # one thread per task
    colour = int(np.median(picture[[0, -1]]))
    framed = cv2.copyMakeBorder(picture, *(FRAME_PX,) * 4, cv2.BORDER_CONSTANT, value=(colour,))
    sized = framed if scale == 1 else cv2.resize(framed, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)
    try:
        told = pytesseract.image_to_data(
            sized, config="--psm 11", output_type=pytesseract.Output.DICT, timeout=TIME_LIMIT_S
        )
    except (RuntimeError, pytesseract.TesseractError) as fault:
        raise MedlakeError(f"Tesseract failed ({type(fault).__name__})") from None
    sure, boxes = False, []
    for at, text in enumerate(told["text"]):
        n_chars, confidence = sum(c.isalnum() for c in text), float(told["conf"][at])
        x, y, w, h = (told[name][at] / scale for name in ("left", "top", "width", "height"))
        if n_chars == 0 or confidence < likely or w * h > MOST_SHARE * picture.size:
            continue
        x, y = x - FRAME_PX, y - FRAME_PX
        sure = sure or (n_chars >= WORD_CHARS and confidence >= sure_from)
        grow = MARGIN_PX + h / 4
        boxes.append(Box(int(x - grow), int(y - grow), int(x + w + grow) + 1, int(y + h + grow) + 1))
    return Found(sure, tuple(boxes))


def frames_of(dataset: Dataset, most: int | None) -> Iterator[NDArray[Any]]:
    """Frames as stored, colours as RGB: all, or `most` evenly spread and the brightest value of those."""
    n_frames = int(dataset.get("NumberOfFrames") or 1)
    wanted = range(n_frames) if most is None or n_frames <= most else np.linspace(0, n_frames - 1, most).astype(int)
    brightest: NDArray[Any] | None = None
    for index in wanted:
        frame = pixel_array(dataset, index=int(index))
        brightest = frame if brightest is None else np.maximum(brightest, frame)
        yield frame
    if brightest is not None and len(wanted) < n_frames:
        yield brightest


def search(dataset: Dataset, *, most: int | None = FRAMES) -> Found:
    """Search an object's frames; boxes are of all frames together."""
    found = [find_writing(frame) for frame in frames_of(dataset, most)]
    return Found(any(f.is_writing for f in found), tuple(box for f in found for box in f.boxes))


def black_out(dataset: Dataset, boxes: Sequence[Box]) -> None:
    """Overwrite rectangles in every frame with black; the pixels are stored unpacked from then on."""
    if int(dataset.BitsAllocated) < 8:
        raise MedlakeError("Pixels of one bit cannot be blacked out")
    if dataset.file_meta.TransferSyntaxUID.is_encapsulated:
        dataset.decompress(generate_instance_uid=False)
    stored = pixel_array(dataset, raw=True)
    pixels = np.array(stored, dtype=stored.dtype.newbyteorder("<"))
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    n_frames = int(dataset.get("NumberOfFrames") or 1)
    stacked = pixels.reshape((n_frames, -1, *_frame_shape(dataset)))
    rows, columns = int(dataset.Rows), int(dataset.Columns)
    black = (1 << int(dataset.BitsStored)) - 1 if dataset.PhotometricInterpretation == "MONOCHROME1" else 0
    shades = (0, 128, 128) if str(dataset.PhotometricInterpretation).startswith("YBR") else (black,) * 3
    for box in boxes:
        x0, y0, x1, y1 = max(box.x0, 0), max(box.y0, 0), min(box.x1, columns), min(box.y1, rows)
        for sample in range(stacked.shape[-1]):
            stacked[:, :, y0:y1, x0:x1, sample] = shades[sample] if stacked.shape[-1] > 1 else black
    _store(dataset, stacked, n_frames)


def _frame_shape(dataset: Dataset) -> tuple[int, int, int]:
    return int(dataset.Rows), int(dataset.Columns), int(dataset.SamplesPerPixel)


def _store(dataset: Dataset, stacked: NDArray[Any], n_frames: int) -> None:
    if int(dataset.SamplesPerPixel) > 1:
        dataset.PlanarConfiguration = 0
    data = stacked.reshape((n_frames, *_frame_shape(dataset))).tobytes()
    dataset.PixelData = data + bytes(len(data) % 2)
    dataset["PixelData"].VR = "OW" if int(dataset.BitsAllocated) > 8 else "OB"
    dataset["PixelData"].is_undefined_length = False


def outside(dataset: Dataset) -> tuple[Box, ...]:
    """What lies outside of an ultrasound's regions (0018,6011): where machines write; empty without regions."""
    regions = [
        Box(r.RegionLocationMinX0, r.RegionLocationMinY0, r.RegionLocationMaxX1 + 1, r.RegionLocationMaxY1 + 1)
        for r in dataset.get("SequenceOfUltrasoundRegions") or ()
    ]
    if not regions:
        return ()
    rows, columns = int(dataset.Rows), int(dataset.Columns)
    x0, y0 = min(r.x0 for r in regions), min(r.y0 for r in regions)
    x1, y1 = max(r.x1 for r in regions), max(r.y1 for r in regions)
    edges = (Box(0, 0, columns, y0), Box(0, y1, columns, rows), Box(0, 0, x0, rows), Box(x1, 0, columns, rows))
    return tuple(edge for edge in edges if edge.x1 > edge.x0 and edge.y1 > edge.y0)
