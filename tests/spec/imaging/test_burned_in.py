"""Burned-in writing is found, blacked out, and not found again; pixels hold nothing but pixels."""

from __future__ import annotations

import cv2
import numpy as np
import pydicom
import pytest
from pydicom.data import get_testdata_file
from pydicom.pixels import pixel_array
from tests.shared import shared_samples

from medlake.imaging import writing
from medlake.imaging.bare import strip
from medlake.imaging.decode import DecodeError
from medlake.imaging.guarded import guarded

needs_tesseract = pytest.mark.skipif(not writing.has_engine(), reason="no Tesseract (apt-get install tesseract-ocr)")


def slice_of(name: str = "CT_small.dcm") -> pydicom.FileDataset:
    return pydicom.dcmread(str(get_testdata_file(name)))


def marked(
    dataset: pydicom.FileDataset, text: str, *, size: float = 0.6, at: tuple[int, int] = (8, 24)
) -> pydicom.FileDataset:
    """The object four times as large, with a text in its brightest value."""
    pixels = dataset.pixel_array
    whole = cv2.resize(pixels.astype(np.float32), None, fx=4, fy=4, interpolation=cv2.INTER_NEAREST)
    cv2.putText(whole, text, at, cv2.FONT_HERSHEY_SIMPLEX, size, float(pixels.max()), 1, cv2.LINE_AA)
    dataset.Rows, dataset.Columns = whole.shape
    dataset.PixelData = whole.astype(pixels.dtype).tobytes()
    return dataset


@needs_tesseract
@pytest.mark.parametrize("name", ["CT_small.dcm", "MR_small.dcm"])
@pytest.mark.parametrize("size", [0.4, 0.6, 1.0])
def test_writing_is_found_and_gone_after(name: str, size: float) -> None:
    dataset = marked(slice_of(name), "MEYER ANNA 19520304", size=size)
    before = dataset.pixel_array.copy()
    found = writing.search(dataset)
    assert found.is_writing
    writing.black_out(dataset, found.boxes)
    assert not writing.search(dataset).is_writing
    changed = (dataset.pixel_array != before).mean()
    assert 0 < changed < 0.3, "only the writing is blacked out"


@needs_tesseract
@pytest.mark.parametrize("name", ["CT_small.dcm", "MR_small.dcm", "693_J2KI.dcm"])
def test_a_picture_without_writing_shows_none(name: str) -> None:
    assert not writing.search(slice_of(name)).is_writing


@needs_tesseract
def test_the_ultrasound_that_does_not_say_so_is_caught() -> None:
    path = shared_samples("dicom-phi") / "dicom-phi" / "GREYSCALE_IMAGE.dcm"
    dataset = pydicom.dcmread(path)
    del dataset.BurnedInAnnotation
    found = writing.search(dataset)
    assert found.is_writing
    for word in (
        writing.Box(5, 3, 160, 20),
        writing.Box(180, 3, 290, 20),
        writing.Box(390, 3, 550, 20),
    ):  # name, number, birthday
        assert any(_covers(box, word) for box in found.boxes) or _share(found.boxes, word) > 0.8
    writing.black_out(dataset, found.boxes)
    assert not writing.search(dataset).is_writing


def _covers(box: writing.Box, word: writing.Box) -> bool:
    return box.x0 <= word.x0 and box.y0 <= word.y0 and box.x1 >= word.x1 and box.y1 >= word.y1


def _share(boxes: tuple[writing.Box, ...], word: writing.Box) -> float:
    """How much of a word's width is blacked out."""
    covered = np.zeros(word.x1 - word.x0, bool)
    for box in boxes:
        if box.y0 <= word.y0 + 8 <= box.y1:
            covered[max(box.x0 - word.x0, 0) : max(box.x1 - word.x0, 0)] = True
    return float(covered.mean())


@pytest.mark.parametrize(
    ("name", "black"),
    [
        ("CT_small.dcm", 0),
        ("SC_rgb_jpeg_dcmtk.dcm", 0),
        ("examples_palette.dcm", 0),
        ("MR_small_RLE.dcm", 0),
        ("MR_small_bigendian.dcm", 0),
    ],
)
def test_what_is_blacked_out_is_black_in_every_frame_and_nothing_else_changes(name: str, black: int) -> None:
    dataset = slice_of(name)
    before = pixel_array(dataset, raw=False)
    writing.black_out(dataset, [writing.Box(-3, 2, 10, 9)])
    after = pixel_array(dataset, raw=False)
    assert not dataset.file_meta.TransferSyntaxUID.is_compressed
    assert (after[2:9, :10] == black).all()
    assert (after[9:] == before[9:]).all()


def test_what_lies_outside_of_the_ultrasound_regions_is_told() -> None:
    dataset = pydicom.Dataset()
    dataset.Rows, dataset.Columns = 100, 200
    region = pydicom.Dataset()
    region.RegionLocationMinX0, region.RegionLocationMinY0 = 10, 20
    region.RegionLocationMaxX1, region.RegionLocationMaxY1 = 199, 79
    dataset.SequenceOfUltrasoundRegions = [region]
    assert writing.outside(dataset) == ((0, 0, 200, 20), (0, 80, 200, 100), (0, 0, 10, 100))


JPEGS = [
    "SC_rgb_jpeg_dcmtk.dcm",
    "SC_rgb_jpeg_gdcm.dcm",
    "693_J2KI.dcm",
    "MR_small_jpeg_ls_lossless.dcm",
    "MR_small_jp2klossless.dcm",
]


@pytest.mark.parametrize("name", JPEGS)
def test_a_comment_inside_a_compressed_frame_goes_and_the_pixels_stay(name: str) -> None:
    dataset = slice_of(name)
    before = pixel_array(dataset)
    from pydicom.encaps import encapsulate, generate_frames

    (frame,) = generate_frames(dataset.PixelData, number_of_frames=1)
    mark = b"\xff\x64" if frame[:2] == b"\xff\x4f" else b"\xff\xfe"
    note = mark + (2 + 2 + 8).to_bytes(2, "big") + b"\0\1" + b"Zq7Quux!"
    head = 2 if mark == b"\xff\xfe" else 4 + int.from_bytes(frame[4:6], "big")  # JPEG 2000: behind SIZ
    exif = b"" if mark != b"\xff\xfe" else b"\xff\xe1" + (2 + 14).to_bytes(2, "big") + b"Exif\0\0Zq7Quux!"
    dataset.PixelData = encapsulate([frame[:head] + note + exif + frame[head:] + b"Zq7Quux!"])
    assert b"Zq7Quux" in dataset.PixelData
    strip(dataset)
    assert b"Zq7Quux" not in dataset.PixelData
    np.testing.assert_array_equal(pixel_array(dataset), before)


@pytest.mark.parametrize("name", ["CT_small.dcm", "MR_small_bigendian.dcm", "SC_rgb_small_odd_big_endian.dcm"])
def test_bytes_behind_the_last_pixel_go(name: str) -> None:
    dataset = slice_of(name)
    before = pixel_array(dataset)
    dataset.PixelData = dataset.PixelData + b"Zq7Quux!"
    strip(dataset)
    assert b"Zq7Quux" not in dataset.PixelData
    np.testing.assert_array_equal(pixel_array(dataset), before)


def test_bits_above_the_stored_ones_go() -> None:
    dataset = slice_of("MR_small.dcm")
    dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 12, 11, 0
    stored = np.arange(dataset.Rows * dataset.Columns, dtype="<u2") & 0x0FFF
    dataset.PixelData = (stored | 0x8000).tobytes()  # a plane of an old overlay
    strip(dataset)
    assert dataset.PixelData == stored.tobytes()


def test_a_damaged_frame_is_an_error() -> None:
    dataset = slice_of("SC_rgb_jpeg_dcmtk.dcm")
    dataset.PixelData = dataset.PixelData[: len(dataset.PixelData) // 2]
    with pytest.raises(DecodeError):
        strip(dataset)


def test_a_child_starts_though_opencv_has_threads_here() -> None:
    cv2.setNumThreads(2)  # a fork inherits the locks of its threads and not the threads
    cv2.GaussianBlur(np.zeros((4000, 4000), np.uint8), (31, 31), 0)
    with guarded(lambda n: int(cv2.countNonZero(np.ones((n, n), np.uint8))), time_limit_s=20) as count:
        assert count(9) == 81
