"""PNG, JPEG and TIFF: what a file is by its content, and what becomes of one that is cut, spoiled or a trap."""

from __future__ import annotations

import io
import json
import os
import signal
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pyspark.sql import DataFrame, Row, SparkSession
from tests.faults.hostile_pictures import claimed, drawn, exif, pages, pictures
from tests.tables import assert_rows

from medlake.grammar.contract import promise
from medlake.grammar.isolated import NoAnswerError
from medlake.sources.declared import Source, declared
from medlake.sources.picture import extension_differs, inspected
from medlake.sources.raster import looking, picture_view, read_pictures
from medlake.sources.reading import FILE, Refused, digest


def saved(array: np.ndarray, form: str, **how: Any) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(array).save(buffer, form, **how)
    return buffer.getvalue()


GREY16 = np.arange(0, 6000, dtype=np.uint16).reshape(60, 100)
DESCRIBED = [
    ("8 bit png", drawn("PNG"), ("PNG", 64, 48, 1, "L", 8, 1, None)),
    ("1 bit png", drawn("PNG", "1"), ("PNG", 64, 48, 1, "1", 1, 1, None)),
    ("16 bit png", saved(GREY16, "PNG"), ("PNG", 100, 60, 1, "I;16", 16, 1, None)),
    ("palette", drawn("PNG", "P"), ("PNG", 64, 48, 1, "P", 8, 1, None)),
    ("with alpha", drawn("PNG", "RGBA"), ("PNG", 64, 48, 4, "RGBA", 8, 1, None)),
    ("colour jpeg", drawn("JPEG", "RGB"), ("JPEG", 64, 48, 3, "RGB", 8, 1, None)),
    ("lying jpeg", drawn("JPEG", exif=exif(orientation=6)), ("JPEG", 64, 48, 1, "L", 8, 1, 6)),
    ("16 bit tiff", saved(GREY16, "TIFF"), ("TIFF", 100, 60, 1, "I;16", 16, 1, None)),
    ("float tiff", saved(GREY16.astype(np.float32), "TIFF"), ("TIFF", 100, 60, 1, "F", 32, 1, None)),
    ("fax", drawn("TIFF", "1", compression="group4"), ("TIFF", 64, 48, 1, "1", 1, 1, None)),
    ("three pages", pages(3), ("TIFF", 64, 48, 1, "L", 8, 3, None)),
]  # fmt: skip


@pytest.mark.parametrize(("data", "expected"), [case[1:] for case in DESCRIBED], ids=[case[0] for case in DESCRIBED])
def test_a_picture_is_described_by_its_content(tmp_path: Path, data: bytes, expected: tuple[Any, ...]) -> None:
    path = tmp_path / "picture.anything"
    path.write_bytes(data)
    found = inspected(str(path))
    names = ("format", "width", "height", "channels", "mode", "bit_depth", "n_frames", "orientation")
    assert tuple(found[name] for name in names) == expected


def test_the_same_pixels_in_another_file_have_the_same_digest(tmp_path: Path) -> None:
    for name, data in (("a", saved(GREY16, "PNG")), ("b", saved(GREY16, "TIFF")), ("c", saved(GREY16 + 1, "PNG"))):
        (tmp_path / name).write_bytes(data)
    a, b, c = (inspected(str(tmp_path / name))["pixels_sha256"] for name in "abc")
    assert a == b != c


def test_what_is_written_inside_is_kept_up_to_a_cap(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(drawn("JPEG", exif=exif(orientation=1, artist="Doe, Jane\0")))
    assert json.loads(inspected(str(tmp_path / "a"))["said_json"])["Artist"] == "Doe, Jane"
    (tmp_path / "b").write_bytes(pictures()["text.png"][0])
    assert json.loads(inspected(str(tmp_path / "b"))["said_json"]) == {"Comment": "Jane Doe"}


@pytest.mark.parametrize(
    ("file", "form", "differs"),
    [
        ("a/x.PNG", "PNG", False),
        ("x.jpg", "PNG", True),
        ("x.jpeg", "JPEG", False),
        ("x", "TIFF", False),
        ("x.dcm", "TIFF", True),
    ],
)
def test_a_name_may_say_another_format(file: str, form: str, differs: bool) -> None:
    assert extension_differs(file, form) is differs


@pytest.mark.parametrize("form", ["PNG", "JPEG", "TIFF"])
def test_no_cut_passes_for_a_whole_picture(tmp_path: Path, form: str) -> None:
    path, passed = tmp_path / "cut", []
    for made in (drawn(form), drawn(form, "RGB", **({"progressive": True} if form == "JPEG" else {}))):
        for at in [*range(0, len(made), max(len(made) // 150, 1)), *range(len(made) - 12, len(made))]:
            path.write_bytes(made[:at])
            try:
                inspected(str(path))
            except Refused:
                continue
            passed.append(at)
    assert not passed


def test_a_bomb_is_refused_by_its_header_in_no_time(tmp_path: Path) -> None:
    (tmp_path / "bomb").write_bytes(claimed(60_000, 60_000, bytes(50_000_000)))
    started = time.monotonic()
    with pytest.raises(Refused, match="raster_too_large"):
        inspected(str(tmp_path / "bomb"))
    assert time.monotonic() - started < 2


def test_what_a_picture_is_refused_for_comes_out_of_the_child(tmp_path: Path) -> None:
    (tmp_path / "page").write_text("no picture")
    with looking(inspected) as look, pytest.raises(Refused) as fault:
        look(str(tmp_path / "page"))
    assert fault.value.code == "raster_not_image"


def test_a_decoder_that_dies_hangs_or_devours_costs_one_answer() -> None:
    def ask(path: str) -> dict[str, Any]:
        if path == "crash":
            os.kill(os.getpid(), signal.SIGSEGV)
        if path == "hang":
            time.sleep(60)
        if path == "glut":
            return {"n": len(bytearray(4 * 1024**3))}
        if path == "odd":
            raise ValueError("Jane Doe")
        return {"n": 1}

    told, said = [], []
    with looking(ask, time_limit_s=2, memory_limit_bytes=1024**3) as look:
        for path in ("good", "crash", "good", "hang", "glut", "odd", "good"):
            try:
                told.append(look(path)["n"])
            except NoAnswerError as fault:
                told.append(None)
                said.append(str(fault))
    assert "Doe" not in "".join(said)
    assert told == [1, None, 1, None, None, None, 1]


SOURCE = declared(
    "xray",
    {"format": "raster", "name": r"(?P<person_source_value>p\d+)_", "table": {"m": {"files": "m.csv"}}},
    {}, {},
)  # fmt: skip


def files_of(spark: SparkSession, folder: Path, batch: int, **named: bytes) -> DataFrame:
    rows = []
    for name, data in named.items():
        path = folder / f"{batch}-{name}"
        path.write_bytes(data)
        place = name.replace("__", "/").replace("_dot_", ".")
        rows.append(("xray", "raster", False, place, str(path), len(data), digest(data), batch))
    return spark.createDataFrame(rows, FILE)


@pytest.fixture(scope="module")
def read(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Row]:
    folder = tmp_path_factory.mktemp("pictures")
    files = files_of(
        spark, folder, 1,
        p7_a_dot_png=drawn("PNG"), nobody_dot_jpg=drawn("PNG", "RGB"), cut_dot_jpg=drawn("JPEG")[:300], empty_dot_tif=b"",
    )  # fmt: skip
    gone = spark.createDataFrame([("xray", "raster", False, "gone.png", str(folder / "gone"), 9, "0" * 64, 1)], FILE)
    return {r["file"]: r for r in read_pictures(files.unionByName(gone).coalesce(1), {"xray": SOURCE}).collect()}


def test_each_file_is_kept_or_set_aside_whole(read: dict[str, Row]) -> None:
    told = {file: row["reason_code"] for file, row in read.items()}
    assert told == {
        "p7_a.png": None, "nobody.jpg": None, "cut.jpg": "raster_truncated", "empty.tif": "file_empty",
        "gone.png": "file_unreadable",
    }  # fmt: skip
    assert (read["p7_a.png"]["patient_hint"], read["nobody.jpg"]["patient_hint"]) == ("p7", None)
    assert (read["nobody.jpg"]["extension_differs"], read["p7_a.png"]["extension_differs"]) == (True, False)
    assert read["cut.jpg"]["raw"] and read["cut.jpg"]["width"] is None


def test_kept_rows_have_the_promised_columns(spark: SparkSession) -> None:
    made = {f.name: f.dataType for f in read_pictures(spark.createDataFrame([], FILE), {}).schema}
    want = {f.name: f.dataType for f in promise("bronze.raster_image").schema}
    assert {n: t for n, t in want.items() if n not in ("run_id", "ingested_at")} == {
        n: t for n, t in made.items() if n not in ("reason_code", "detail", "raw")
    }


def test_a_picture_is_found_wherever_it_lies_now(spark: SparkSession, tmp_path: Path) -> None:
    first, second = drawn("PNG"), drawn("PNG", "RGB")
    files = files_of(spark, tmp_path, 1, a_dot_png=first, old__b_dot_png=second)
    moved = files_of(
        spark, tmp_path, 2, new__a_dot_png=first, old__b_dot_png=first
    )  # one content, two names; b replaced
    bronze = read_pictures(files.coalesce(1), {"xray": SOURCE}).drop("reason_code", "detail", "raw")
    view = picture_view(bronze, files.unionByName(moved), SOURCE)
    assert_rows(
        view,
        """
        source | file      | file_name | mode
        xray   | a.png     | a.png     | L
        xray   | new/a.png | a.png     | L
        xray   | old/b.png | b.png     | L
    """,
    )


def test_a_source_of_pictures_says_which_files_are_tables() -> None:
    claims = {name: SOURCE.claims(name) for name in ("m.csv", "a/b/x.PNG", "x.tiff", "x.gif")}
    assert claims == {"m.csv": ("m", False), "a/b/x.PNG": ("raster", False), "x.tiff": ("raster", False), "x.gif": None}
    assert isinstance(SOURCE, Source)
    assert (SOURCE.form_of("m"), SOURCE.form_of("raster")) == ("csv", "raster")
