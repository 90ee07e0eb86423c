"""Hostile files of every format: each ends in bronze or in quarantine with its code, soon and in little memory."""

from __future__ import annotations

import resource
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.faults import hostile
from tests.faults.hostile_pictures import pictures
from tests.files import Files, file_row

from medlake.report.vocabulary import REASONS
from medlake.sources.declared import Source, Table
from medlake.sources.dicom import read_objects
from medlake.sources.fhir import read_resources
from medlake.sources.notes import read_notes
from medlake.sources.raster import read_pictures
from medlake.sources.tables import read_records

HANG_SECONDS = 20
MAX_KIB = 1024 * 1024
MAX_LINE = 2_000_000


SOURCES = {
    "fhir": Source("fhir", "fhir", "fhir", (), ("*",), None, {}),
    "csv": Source("csv", "csv", "csv", (Table("t", ("*",), key=("id",), encoding="utf-8"),), (), None, {}),
    "notes": Source("notes", "notes", "notes", (), ("*",), r"(?P<person_source_value>p\d)_(?P<note_title>.+)\.txt", {}),
}
READERS: dict[str, Callable[[Any], Any]] = {
    "fhir": lambda files: read_resources(files, max_line_bytes=MAX_LINE, max_document_bytes=2 * MAX_LINE),
    "csv": lambda files: read_records(files, SOURCES, max_line_bytes=MAX_LINE, max_span_lines=5),
    "notes": lambda files: read_notes(files, SOURCES, max_bytes=MAX_LINE),
    "dicom": read_objects,
    "raster": lambda files: read_pictures(files, SOURCES),
}
HOSTILE = {"fhir": hostile.fhir, "csv": hostile.table, "notes": hostile.notes, "dicom": hostile.dicom, "raster": pictures}
CASES = [
    pytest.param(form, name, data, code, id=f"{form}-{name}")
    for form, made in HOSTILE.items()
    for name, (data, code) in made().items()
]


def rows_of(form: str, path: Path, data: bytes) -> list[dict[str, Any]]:
    path.write_bytes(data)
    return READERS[form](Files([file_row(path, form, {"csv": "t"}.get(form, form))]))


def test_there_are_enough_of_them() -> None:
    assert len(CASES) >= 150


@pytest.mark.parametrize(("form", "name", "data", "code"), CASES)
def test_each_hostile_file_ends_in_bronze_or_in_quarantine_with_its_code(
    tmp_path: Path, form: str, name: str, data: bytes, code: str | None
) -> None:
    started, before = time.monotonic(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    rows = rows_of(form, tmp_path / (name if form in ("notes", "fhir") else "file"), data)
    assert time.monotonic() - started < HANG_SECONDS
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < MAX_KIB
    assert rows or name == "empty.zip"
    told = {row["reason_code"] for row in rows}
    assert told - {None} <= set(REASONS)
    assert all(row["detail"] for row in rows if row["reason_code"])
    if code != hostile.ANY:
        assert code in told


def test_every_cut_of_a_real_object_is_caught(tmp_path: Path) -> None:
    made = hostile.cuts()
    passed = []
    for name, data in made:
        rows = rows_of("dicom", tmp_path / "cut.dcm", data)
        if rows and not any(row["reason_code"] for row in rows):
            passed.append((name, len(data)))
    print(f"{len(made)} cuts of bundled files, {len(passed)} of them taken as whole: {passed}")
    assert len(made) >= 500
    assert len(passed) <= len(made) / 1000
