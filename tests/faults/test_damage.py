"""Damaged files: a commit that is cut, gone or altered, and flipped bits, are found and never read as if all were well."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from medlake.doors.commits import KEPT, CommitBook
from medlake.doors.lake import Lake
from medlake.grammar.errors import DamagedLakeError

TABLE = "bronze.source_column"


def rows(spark: SparkSession, n: int):
    """Rows of the n-th append; `column` is long enough for flips to hit data."""
    return spark.range(40).selectExpr("'s' AS source", "'t' AS source_table", f"sha2(concat('{n}-', id), 256) AS column", f"{n} AS batch").coalesce(1)


@pytest.fixture(scope="module")
def whole(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lake of one table with twelve commits, a checkpoint among them."""
    root = tmp_path_factory.mktemp("whole") / "lake"
    root.mkdir()
    for n in range(12):
        Lake(spark, root).append(TABLE, rows(spark, n), txn=("medlake/test", n))
    CommitBook(root).check()
    return root


@pytest.fixture
def lake(whole: Path, tmp_path: Path) -> Path:
    """A copy of it on a storage that keeps no checksums of its own, as object stores do."""
    root = tmp_path / "lake"
    shutil.copytree(whole, root, ignore=shutil.ignore_patterns("*.crc"))
    return root


def log(lake: Path, version: int) -> Path:
    return lake / "restricted" / "bronze" / "source_column" / "_delta_log" / f"{version:020d}.json"


@pytest.mark.parametrize("damage", ["empty", "cut", "gone", "altered", "older"])
def test_an_acknowledged_commit_that_is_not_as_it_was_stops_everything(lake: Path, damage: str) -> None:
    last = log(lake, 4 if damage == "older" else 11)
    data = last.read_bytes()
    if damage == "gone":
        last.unlink()
    else:
        last.write_bytes({"empty": b"", "cut": data[:80], "altered": data.replace(b'"add"', b'"aDd"'), "older": b""}[damage])
    with pytest.raises(DamagedLakeError, match=r"bronze/source_column, version (11|4): the commit") as caught:
        CommitBook(lake).check()
    assert caught.value.exit_code == 7 and str(lake.parent) not in str(caught.value)


def test_a_table_that_is_gone_stops_everything(lake: Path) -> None:
    shutil.rmtree(lake / "restricted" / "bronze" / "source_column")
    with pytest.raises(DamagedLakeError, match="the table is gone"):
        CommitBook(lake).check()


@pytest.mark.parametrize("torn", [b"", b'{"commitInfo":{"timest', b'{"add":{"path":"x"}}\n'])
def test_a_torn_commit_that_nobody_was_told_of_is_taken_away_and_made_again(spark: SparkSession, lake: Path, torn: bytes) -> None:
    log(lake, 12).write_bytes(torn)
    assert CommitBook(lake).check() == ["restricted/bronze/source_column, version 12"]
    assert CommitBook(lake).check() == []
    Lake(spark, lake).append(TABLE, rows(spark, 12), txn=("medlake/test", 12))
    assert Lake(spark, lake).read(TABLE).count() == 13 * 40
    assert CommitBook(lake).check() == []


def test_a_whole_commit_that_the_book_missed_stays(spark: SparkSession, lake: Path) -> None:
    book = lake / "commits.jsonl"
    lines = book.read_text().splitlines()
    book.write_text("\n".join(lines[:-1]) + "\n" + lines[-1][:20])  # killed before the last line was on disk
    assert CommitBook(lake).check() == []
    assert Lake(spark, lake).read(TABLE).count() == 12 * 40


def test_the_book_does_not_grow_for_ever(lake: Path) -> None:
    book = CommitBook(lake)
    line = '{"table": "open/silver/person", "version": %d, "sha256": "x"}\n'
    book.path.write_text("".join(line % v for v in range(3 * KEPT)))
    book._shorten(book._known())
    assert sorted(book._known()["open/silver/person"]) == list(range(2 * KEPT, 3 * KEPT))


def test_flipped_bits_are_found_or_do_no_harm(spark: SparkSession, lake: Path) -> None:
    table = lake / "restricted" / "bronze" / "source_column"
    sound = sorted(map(tuple, Lake(spark, lake).read(TABLE).collect()))
    draw, found, harmless = random.Random(7), 0, 0
    data = sorted(table.glob("*.parquet"))
    targets = [*draw.sample(data, 6), log(lake, 3), log(lake, 11), *sorted((table / "_delta_log").glob("*.checkpoint*.parquet"))[:1] * 2]
    assert len(targets) == 10
    for file in targets:
        before = file.read_bytes()
        place = draw.randrange(4, len(before) - 8)
        file.write_bytes(before[:place] + bytes([before[place] ^ (1 << draw.randrange(8))]) + before[place + 1 :])
        try:
            CommitBook(lake).check()
            spark._jvm.org.apache.spark.sql.delta.DeltaLog.clearCache()
            seen = sorted(map(tuple, Lake(spark, lake).read(TABLE).collect()))
        except Exception:  # however it says so
            found += 1
        else:
            assert seen == sound, f"a flipped bit of {file.name} was read as data"
            harmless += 1
        file.write_bytes(before)
        spark._jvm.org.apache.spark.sql.delta.DeltaLog.clearCache()
    print(f"10 flips: {found} found, {harmless} without effect on what is read")
    assert found >= 6
