"""Pixel data and nothing but pixels: no comments inside compressed frames, no bytes behind, no bits above.

A JPEG may hold a camera's EXIF, a comment or a thumbnail; unused high bits may hold an old overlay; bytes after the
last pixel may hold anything. Sources: ITU-T T.81 annex B (JPEG), T.800 annex A (JPEG 2000), PS3.5 8.1, A.4.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator

import numpy as np
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate, generate_frames
from pydicom.pixels.utils import get_expected_length
from pydicom.uid import RLELossless

from medlake.imaging.decode import DecodeError

JPEG_START, SCAN, JPEG_END = b"\xff\xd8", 0xDA, 0xD9
COMMENT, FIRST_APP, LAST_APP = 0xFE, 0xE0, 0xEF
# Application segments that a decoder needs: JFIF, Adobe's colour transform, HP's (JPEG-LS), SPIFF.
NEEDED = (b"JFIF\0", b"Adobe", b"mrfx", b"SPIFF")
MAX_JFIF_BYTES = 14  # without a thumbnail
CODESTREAM, TILE, CODESTREAM_END, J2K_COMMENT = b"\xff\x4f\xff\x51", 0x90, b"\xff\xd9", 0x64
MARKER = re.compile(rb"\xff[\x80-\xcf\xd8-\xfe]")  # JPEG-LS may have FF before anything below 80 in its samples
OFFSET_TABLES = (0x7FE00001, 0x7FE00002)


def strip(dataset: Dataset) -> None:
    """Rewrite an object's pixel data so that it holds pixels only.

    Raises:
        DecodeError: the pixels are of a kind that cannot be stripped (a film), or damaged.
    """
    if "PixelData" not in dataset:
        return
    syntax = dataset.file_meta.TransferSyntaxUID
    if syntax.is_encapsulated:
        if syntax == RLELossless:
            return
        frames = [b"".join(_bare(frame)) for frame in _frames(dataset)]
        for tag in OFFSET_TABLES:
            dataset.pop(tag, None)
        dataset.PixelData = encapsulate([frame + bytes(len(frame) % 2) for frame in frames])
        dataset["PixelData"].is_undefined_length = True
        dataset["PixelData"].VR = "OB"
        return
    length = get_expected_length(dataset, unit="bytes")
    if len(dataset.PixelData) < length:
        raise DecodeError("there are fewer pixels than the header says")
    if not syntax.is_little_endian and length % 2:
        length += 1  # bytes of a word are swapped: the padding stands before the last one
    dataset.PixelData = _used_bits(dataset, dataset.PixelData[:length]) + bytes(length % 2)


def _frames(dataset: Dataset) -> Iterator[bytes]:
    try:
        yield from generate_frames(dataset.PixelData, number_of_frames=int(dataset.get("NumberOfFrames") or 1))
    except (ValueError, TypeError, EOFError, struct.error) as fault:
        raise DecodeError(f"the frames cannot be told apart ({type(fault).__name__})") from None


def _used_bits(dataset: Dataset, data: bytes) -> bytes:
    """The samples with every bit above the stored ones as their sign, or zero."""
    allocated, stored = int(dataset.BitsAllocated), int(dataset.BitsStored)
    if allocated not in (8, 16, 32) or stored >= allocated or int(dataset.HighBit) != stored - 1:
        return data
    order = "<" if dataset.file_meta.TransferSyntaxUID.is_little_endian else ">"
    kind = "i" if int(dataset.PixelRepresentation) else "u"
    samples = np.frombuffer(data, dtype=f"{order}{kind}{allocated // 8}")
    unused = allocated - stored
    return ((samples << unused) >> unused).astype(samples.dtype).tobytes()


def _bare(frame: bytes) -> Iterator[bytes]:
    """The parts of a compressed frame without comments and foreign segments."""
    if frame.startswith(JPEG_START):
        yield from _bare_jpeg(frame)
        return
    at = frame.find(CODESTREAM)
    if at < 0:
        raise DecodeError("a frame is neither JPEG nor JPEG 2000")
    yield from _bare_codestream(frame[at:])


def _bare_jpeg(frame: bytes) -> Iterator[bytes]:
    yield JPEG_START
    at = 2
    while True:
        found = MARKER.search(frame, at)
        if found is None:
            raise DecodeError("a JPEG frame has no end")
        if found.start() > at:
            yield frame[at : found.start()]  # the coded samples of a scan
        at, marker = found.start(), found[0][1]
        if marker == JPEG_END:
            yield frame[at : at + 2]
            return
        end = at + 2 + int.from_bytes(frame[at + 2 : at + 4], "big")
        if end > len(frame) or end < at + 4:
            raise DecodeError("a JPEG frame is cut")
        if _is_needed(marker, frame[at + 4 : end]):
            yield frame[at:end]
        at = end


def _is_needed(marker: int, content: bytes) -> bool:
    if marker == COMMENT:
        return False
    if FIRST_APP <= marker <= LAST_APP:
        return content.startswith(NEEDED) and (not content.startswith(b"JFIF") or len(content) <= MAX_JFIF_BYTES)
    return True


def _bare_codestream(stream: bytes) -> Iterator[bytes]:
    yield stream[:2]
    at = 2
    while at + 4 <= len(stream) and stream[at] == 0xFF and stream[at + 1] != TILE:
        end = at + 2 + int.from_bytes(stream[at + 2 : at + 4], "big")
        if stream[at + 1] != J2K_COMMENT:
            yield stream[at:end]
        at = end
    last = stream.rfind(CODESTREAM_END)
    if last < at:
        raise DecodeError("a JPEG 2000 frame has no end")
    yield stream[at : last + 2]
