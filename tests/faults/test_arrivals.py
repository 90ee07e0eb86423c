"""How files arrive: old, hidden, below folders, rewritten, growing, moved, twice, in pieces. Every record once, none lost."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from pyspark.sql import SparkSession
from tests.nights import conf_of, run_steps

from medlake.doors.lake import Lake

HEADER = "pid,name\n"
OLD = 1_000_000_000  # seconds: a day in 2001


def put(file: Path, *people: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(HEADER + "".join(f"{p},Name {p}\n" for p in people))


def old(at: Path) -> None:
    put(at / "leute1.csv", "a")
    os.utime(at / "leute1.csv", (OLD, OLD))


def moved(at: Path) -> None:
    (at / "sub" / "deep").mkdir(parents=True)
    (at / "leute1.csv").rename(at / "sub" / "deep" / "leute9.csv")


# what stands → (what arrives on the first day, on the second; the people known after each)
PATTERNS: dict[str, tuple[Callable[[Path], object], Callable[[Path], object], str, str]] = {
    "older than a week": (old, lambda at: (put(at / "leute2.csv", "b"), os.utime(at / "leute2.csv", (OLD, OLD))), "a", "a b"),
    "names with _ and .": (lambda at: put(at / "_leute.csv", "a"), lambda at: put(at / ".leute.csv", "b"), "a", "a b"),
    "in folders": (lambda at: put(at / "2024" / "leute1.csv", "a"), lambda at: put(at / "2024" / "05" / "leute1.csv", "b"), "a", "a b"),
    "rewritten": (lambda at: put(at / "leute1.csv", "a"), lambda at: put(at / "leute1.csv", "b"), "a", "a b"),
    "growing": (lambda at: put(at / "leute1.csv", "a"), lambda at: put(at / "leute1.csv", "a", "b"), "a", "a b"),
    "moved": (lambda at: put(at / "leute1.csv", "a"), moved, "a", "a"),
    "sent twice": (lambda at: put(at / "leute1.csv", "a"), lambda at: put(at / "leute2.csv", "a"), "a", "a"),
    "in two pieces": (lambda at: (at.mkdir(exist_ok=True), (at / "leute1.csv").write_text("")), lambda at: put(at / "leute1.csv", "a"), "", "a"),
}


@pytest.fixture
def home(tmp_path: Path) -> Path:
    source = conf_of(tmp_path / "conf") / "sources" / "westside"
    source.mkdir(parents=True)
    (source / "source.toml").write_text('[table.leute]\nfiles = ["**/leute*.csv", "**/_leute*.csv", "**/.leute*.csv"]\nkey = ["pid"]\n')
    (source / "person.sql").write_text("SELECT pid AS person_source_value FROM leute\n")
    (tmp_path / "landing" / "westside").mkdir(parents=True)
    return tmp_path


@pytest.mark.parametrize("pattern", PATTERNS)
def test_each_way_of_arriving(spark: SparkSession, home: Path, pattern: str) -> None:
    first, second, after_first, after_second = PATTERNS[pattern]
    lake, landing = Lake(spark, home / "lake"), home / "landing"
    for arrive, known in ((first, after_first), (second, after_second)):
        arrive(landing / "westside")
        for _ in range(2):  # twice is once
            run_steps(home / "lake", landing, home / "conf", "ingest")
        records = lake.read("bronze.csv_record")
        assert sorted({r["record"]["pid"] for r in records.collect()}) == known.split()
        told = records.groupBy("file_sha256", "row").count().where("count > 1")
        assert told.count() == 0  # no record stands twice
    manifest = {r["source_table"]: r for r in lake.read("ops.batch_manifest").groupBy("source_table").sum("rows_in", "rows_kept", "rows_quarantined", "rows_merged").collect()}
    row = manifest["leute"]
    assert row["sum(rows_in)"] == row["sum(rows_kept)"] + row["sum(rows_quarantined)"] + row["sum(rows_merged)"]
    assert lake.read("quarantine.record").where("reason_code = 'file_empty'").count() == (pattern == "in two pieces")
