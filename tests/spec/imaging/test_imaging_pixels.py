"""Pixels are decoded in every syntax, described and shown small, and damage costs one result only."""

from __future__ import annotations

import io
import os
import signal
import time
import zipfile
from pathlib import Path

import cv2
import numpy as np
import pydicom
import pytest
from pydicom.data import get_testdata_file
from pyspark.sql import SparkSession

from medlake.imaging import guarded
from medlake.imaging.decode import DecodeError, Image, decode, read_object
from medlake.imaging.first_order import first_order
from medlake.imaging.guarded import FAILED, Request
from medlake.imaging.measured import features, image_features, measured_by, thumbnails
from medlake.imaging.thumbnail import display, thumbnail


def place(name: str) -> str:
    return str(get_testdata_file(name))


def decoded(name: str) -> Image:
    return decode(read_object(place(name), 0))


def grey(values: list[float], *, window: tuple[float, float] | None = None, inverted: bool = False) -> Image:
    return Image(np.array([values], dtype=np.float32), window, inverted, "1.2.3")


@pytest.mark.parametrize(
    "name",
    [
        "MR_small_implicit.dcm",
        "MR_small_bigendian.dcm",
        "MR_small_RLE.dcm",
        "MR_small_jp2klossless.dcm",
        "MR_small_jpeg_ls_lossless.dcm",
    ],
)
def test_lossless_syntaxes_give_the_same_pixels(name: str) -> None:
    np.testing.assert_array_equal(decoded(name).pixels, decoded("MR_small.dcm").pixels)


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("693_J2KI.dcm", (512, 512)),  # JPEG 2000
        ("JPEGLSNearLossless_16.dcm", (50, 10)),
        ("SC_rgb_jpeg_dcmtk.dcm", (100, 100, 3)),  # JPEG baseline, YBR
        ("SC_rgb_jpeg_gdcm.dcm", (100, 100, 3)),  # JPEG lossless
        ("SC_ybr_full_422_uncompressed.dcm", (100, 100, 3)),
        ("SC_rgb_rle_32bit.dcm", (100, 100, 3)),
        ("examples_palette.dcm", (350, 800, 3)),
        ("image_dfl.dcm", (512, 512)),  # deflated
        ("liver_1frame.dcm", (512, 512)),  # one bit a pixel
        ("rtdose.dcm", (10, 10)),  # 15 frames, 32 bits
    ],
)
def test_every_kind_of_pixel_is_decoded(name: str, shape: tuple[int, ...]) -> None:
    assert decoded(name).pixels.shape == shape


def test_ct_values_are_hounsfield_units() -> None:
    dataset = pydicom.dcmread(place("CT_small.dcm"))
    assert decoded("CT_small.dcm").pixels[5, 7] == dataset.pixel_array[5, 7] * 1.0 - 1024


def test_of_several_frames_the_middle_one_is_taken_and_dose_is_scaled() -> None:
    dataset = pydicom.dcmread(place("rtdose.dcm"))
    want = dataset.pixel_array[7] * float(dataset.DoseGridScaling)
    np.testing.assert_allclose(decoded("rtdose.dcm").pixels, want, rtol=1e-6)


@pytest.mark.parametrize("name", ["MR_truncated.dcm", "rtplan.dcm", "no_meta.dcm", "README.txt"])
def test_what_cannot_be_decoded_raises_one_error(name: str) -> None:
    with pytest.raises(DecodeError):
        decode(Path(place(name)).read_bytes())


def test_a_frame_above_the_cap_is_not_decoded() -> None:
    dataset = pydicom.dcmread(place("CT_small.dcm"))
    dataset.Rows = dataset.Columns = 60_000
    buffer = io.BytesIO()
    dataset.save_as(buffer)
    with pytest.raises(DecodeError, match="larger than"):
        decode(buffer.getvalue())


def test_first_order_statistics() -> None:
    found = first_order(np.array([[0, 0, 0, 0], [64, 64, 64, 64]]))
    assert found == {
        "mean": 32.0, "sd": 32.0, "p10": 0.0, "p50": 32.0, "p90": 64.0, "entropy": 1.0, "background": 0.5,
    }  # fmt: skip
    even = first_order(np.full((4, 4), 7.0))
    assert (even["entropy"], even["background"], even["sd"]) == (0.0, 1.0, 0.0)


def test_the_window_is_applied_and_monochrome1_is_turned_round() -> None:
    values = [-1000.0, -0.5, 49.5, 99.5, 3000.0]
    assert display(grey(values, window=(50, 101))).tolist() == [[0, 0, 128, 255, 255]]
    assert display(grey(values, window=(50, 101), inverted=True)).tolist() == [[255, 255, 128, 0, 0]]


def test_without_a_window_the_tails_become_black_and_white() -> None:
    shown = display(grey([float(v) for v in range(1000)]))
    assert (shown[0, 0], shown[0, 9], shown[0, 500], shown[0, -1]) == (0, 0, 128, 255)


@pytest.mark.parametrize(
    ("name", "size"),
    [("CT_small.dcm", (96, 96)), ("examples_overlay.dcm", (60, 96)), ("SC_rgb_rle.dcm", (96, 96))],
)
def test_a_thumbnail_is_a_small_png_and_nothing_else(name: str, size: tuple[int, int]) -> None:
    png = thumbnail(decoded(name))
    picture = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_UNCHANGED)
    assert picture.shape[:2] == size
    assert chunks(png) == {"IHDR", "IDAT", "IEND"}
    assert png == thumbnail(decoded(name))


def chunks(png: bytes) -> set[str]:
    """The names of a PNG's chunks: text and times would be chunks of their own."""
    names, at = set(), 8
    while at < len(png):
        names.add(png[at + 4 : at + 8].decode())
        at += 12 + int.from_bytes(png[at : at + 4], "big")
    return names


def test_colours_keep_their_order() -> None:
    picture = cv2.imdecode(np.frombuffer(thumbnail(decoded("SC_rgb_rle.dcm")), np.uint8), cv2.IMREAD_COLOR)
    assert picture[2, 48].tolist() == [0, 0, 255]  # the first stripe is red; OpenCV reads BGR


def test_a_decoder_that_crashes_or_never_ends_costs_one_result() -> None:
    def measure(request: Request) -> guarded.Measured:
        if request.uri == "crash":
            os.kill(os.getpid(), signal.SIGKILL)
        if request.uri == "hang":
            time.sleep(60)
        if request.uri == "glut":
            return guarded.Measured({"n": float(len(bytearray(4 * 1024**3)))}, None)
        return guarded.measure(request)

    good = Request(place("CT_small.dcm"), 0, decoded("CT_small.dcm").sop_instance_uid, True)
    with guarded.guarded(measure, time_limit_s=2, memory_limit_bytes=2 * 1024**3) as run:
        started = time.monotonic()
        uris = (good.uri, "crash", good.uri, "hang", "glut", good.uri)
        results = [measured_by(run, good._replace(uri=uri)) for uri in uris]
        assert time.monotonic() - started < 30
    assert [r == FAILED for r in results] == [False, True, False, True, True, False]
    assert results[0] == results[2] == results[5]


def test_objects_are_measured_on_executors(spark: SparkSession, tmp_path: Path) -> None:
    ct, us = (decoded(name).sop_instance_uid for name in ("CT_small.dcm", "examples_rgb_color.dcm"))
    with zipfile.ZipFile(tmp_path / "two.zip", "w") as archive:
        archive.write(place("MR_small.dcm"), "mr.dcm")
        archive.write(place("CT_small.dcm"), "ct.dcm")
    rows = [
        (place("CT_small.dcm"), 0, ct, "CT", True, False),
        (str(tmp_path / "two.zip"), 2, ct, "zipped CT", True, False),
        (place("examples_rgb_color.dcm"), 0, us, "US", True, True),
        (place("CT_small.dcm"), 0, ct, "risk unknown", True, None),
        (place("JPEG-lossy.dcm"), 0, "1.1", "no decoder", True, False),
        (place("MR_small.dcm"), 0, "1.2", "another object", True, False),
        (str(tmp_path / "gone"), 0, "1.3", "gone", True, False),
        (place("rtplan.dcm"), 0, "1.4", "no pixels", False, False),
    ]
    ddl = "uri string, row bigint, sop_instance_uid string, modality string, has_pixels boolean"
    objects = spark.createDataFrame(rows, ddl + ", burned_in_risk boolean")
    measured = image_features(objects).cache()
    found = {r["modality"]: {f["feature"]: f["value"] for f in r["features"]} for r in measured.collect()}
    shown = {r["modality"]: r["png"] for r in thumbnails(measured).collect()}
    assert set(found) == {row[3] for row in rows} - {"no pixels"}
    failed = {modality for modality, numbers in found.items() if numbers == {"decode_failed": 1.0}}
    assert failed == {"no decoder", "another object", "gone"}
    assert found["CT"] == found["zipped CT"] == found["risk unknown"]
    assert set(shown) == {"CT", "zipped CT"}
    assert bytes(shown["CT"]) == thumbnail(decoded("CT_small.dcm"))
    assert features(measured).where("feature = 'mean'").count() == 4
