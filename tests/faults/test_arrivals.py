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
SOURCE = '[table.leute]\nfiles = ["**/leute*.csv", "**/_leute*.csv", "**/.leute*.csv"]\nkey = ["pid"]\n'
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


@pytest.fixture(scope="module")
def lake(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> tuple[Lake, dict[str, list[str]]]:
    """A lake after two days on which every pattern came in a source of its own, and who was known after the first."""
    home = tmp_path_factory.mktemp("arrivals")
    conf = conf_of(home / "conf")
    for name in map(named, PATTERNS):
        (conf / "sources" / name).mkdir(parents=True)
        (conf / "sources" / name / "source.toml").write_text(SOURCE)
        (conf / "sources" / name / "person.sql").write_text("SELECT pid AS person_source_value FROM leute\n")
        (home / "landing" / name).mkdir(parents=True)
    first: dict[str, list[str]] = {}
    for day in (0, 1):
        for name, pattern in PATTERNS.items():
            pattern[day](home / "landing" / named(name))
        for _ in range(2):  # twice is once
            run_steps(home / "lake", home / "landing", conf, "ingest")
        first = first or people(Lake(spark, home / "lake"))
    return Lake(spark, home / "lake"), first


def named(pattern: str) -> str:
    return "s_" + "".join(c if c.isalpha() else "_" for c in pattern)


def people(lake: Lake) -> dict[str, list[str]]:
    """Source → the keys in bronze; as many as there are records."""
    rows = lake.read("bronze.csv_record").collect()
    return {named(p): sorted({r["record"]["pid"] for r in rows if r["source"] == named(p)}) for p in PATTERNS}


@pytest.mark.parametrize("pattern", PATTERNS)
def test_each_way_of_arriving(lake: tuple[Lake, dict[str, list[str]]], pattern: str) -> None:
    _, _, after_first, after_second = PATTERNS[pattern]
    assert lake[1][named(pattern)] == after_first.split()
    assert people(lake[0])[named(pattern)] == after_second.split()


def test_no_record_stands_twice_and_the_counts_add_up(lake: tuple[Lake, dict[str, list[str]]]) -> None:
    at = lake[0]
    assert at.read("bronze.csv_record").groupBy("source", "file_sha256", "row").count().where("count > 1").count() == 0
    assert at.read("ops.batch_manifest").where("rows_in <> rows_kept + rows_quarantined + rows_merged").count() == 0
    empty = at.read("quarantine.record").where("reason_code = 'file_empty'").select("source").collect()
    assert [r["source"] for r in empty] == [named("in two pieces")]
