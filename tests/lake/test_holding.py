"""What a version holds is read from its commits where these say it in a few words; else Delta is asked: the same rows."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession
from tests.tables import rows

from medlake.doors.holding import MOST_COMMITS, MOST_FILES, SHORT, holding
from medlake.doors.lake import Lake
from medlake.grammar.errors import DamagedLakeError

TABLE = "vault.date_offset"


@pytest.fixture(scope="module")
def lake(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """A table of thirteen versions: rows that come one by one, past a checkpoint; corrections; none."""
    made = Lake(spark, tmp_path_factory.mktemp("held"))
    for number in range(11):
        made.append(TABLE, rows(spark, TABLE, f"person_id | shift_days\n{number} | -5"))
    for said in ("person_id | shift_days\n2 | -7\n30 | -8", "person_id | shift_days"):
        made.merge(TABLE, rows(spark, TABLE, said))
    assert made.version(TABLE) == 12 and (Path(made.path(TABLE)) / "_delta_log" / "_last_checkpoint").is_file()
    return made


@pytest.mark.parametrize("version", [0, 3, 9, 10, 11, 12])
def test_each_version_holds_the_files_that_delta_finds(spark: SparkSession, lake: Lake, version: int) -> None:
    told = spark.read.format("delta").option("versionAsOf", version).load(lake.path(TABLE))
    held = holding(Path(lake.path(TABLE)), version)
    assert held is not None and held.schema == told.schema
    assert sorted(f"file:{file}" for file in held.files) == sorted(told.inputFiles())
    assert held.size_bytes == sum(file.stat().st_size for file in held.files)
    assert (version == 12) == (held.files == ())  # what was deleted is in no file of the last version


def test_a_table_without_rows_has_no_bytes(lake: Lake) -> None:
    assert lake.size_bytes(TABLE) == 0 and lake.read(TABLE).count() == 0


def log_of(lake: Lake, folder: Path) -> Path:
    """A copy of the log, to be altered."""
    shutil.copytree(Path(lake.path(TABLE)) / "_delta_log", folder / "_delta_log")
    return folder / "_delta_log"


def commit(log: Path, version: int) -> Path:
    return log / f"{version:020d}.json"


def altered(version: int, action: str, **more: Any) -> Callable[[Path], object]:
    """A commit with something else in its lines of one kind."""

    def alter(log: Path) -> None:
        lines = [json.loads(line) for line in commit(log, version).read_text().splitlines()]
        for said in lines:
            if action in said:
                said[action].update(more)
        commit(log, version).write_text("\n".join(map(json.dumps, lines)))

    return alter


def added(log: Path, n: int) -> None:
    lines = [json.dumps({"add": {"path": f"{number}.parquet", "size": 1, "partitionValues": {}}}) for number in range(n)]
    commit(log, 11).write_text("\n".join([commit(log, 11).read_text().rstrip(), *lines]))


DOUBTFUL: dict[str, Callable[[Path], object]] = {
    "a commit that is gone": lambda log: commit(log, 11).unlink(),
    "a commit that is cut": lambda log: commit(log, 11).write_bytes(commit(log, 11).read_bytes()[:-40]),
    "a line that is no action": lambda log: commit(log, 11).write_text("[]"),
    "a commit of no characters": lambda log: commit(log, 11).write_bytes(b"\xff"),
    "a long commit": lambda log: commit(log, 11).write_text(commit(log, 11).read_text().rstrip() + " " * SHORT),
    "more files than a few": lambda log: added(log, MOST_FILES),
    "rows that are deleted in a file": altered(11, "add", deletionVector={"storageType": "u"}),
    "a file elsewhere": altered(11, "add", path="/elsewhere/part.parquet"),
    "a file in another store": altered(11, "add", path="s3://bucket/part.parquet"),
    "a file of no size": altered(11, "add", size=None),
    "a checkpoint that is gone": lambda log: (log / f"{10:020d}.checkpoint.parquet").unlink(),
    "a checkpoint that is cut": lambda log: (log / f"{10:020d}.checkpoint.parquet").write_bytes(b"PAR1"),
    "a checkpoint of several files": lambda log: (log / "_last_checkpoint").write_text('{"version": 10, "parts": 2}'),
    "a word about checkpoints that is cut": lambda log: (log / "_last_checkpoint").write_text('{"ver'),
}


@pytest.mark.parametrize("alter", DOUBTFUL.values(), ids=DOUBTFUL)
def test_what_is_not_said_whole_is_not_taken(tmp_path: Path, lake: Lake, alter: Callable[[Path], object]) -> None:
    log = log_of(lake, tmp_path)
    assert len(holding(tmp_path, 11).files) == 1
    alter(log)
    assert holding(tmp_path, 11) is None


OF_THE_FIRST: dict[str, Callable[[Path], object]] = {
    "partitions": altered(0, "metaData", partitionColumns=["person_id"]),
    "what only newer readers understand": altered(0, "protocol", minReaderVersion=3),
    "no columns": altered(0, "metaData", schemaString="{}"),
    "no table": lambda log: commit(log, 0).write_text(""),
}


@pytest.mark.parametrize("alter", OF_THE_FIRST.values(), ids=OF_THE_FIRST)
def test_a_table_that_delta_alone_reads_is_not_taken(tmp_path: Path, lake: Lake, alter: Callable[[Path], object]) -> None:
    log = log_of(lake, tmp_path)
    assert holding(tmp_path, 9) is not None
    alter(log)
    assert holding(tmp_path, 9) is None


def test_a_lake_whose_path_spark_would_take_for_a_pattern_is_read_by_delta(spark: SparkSession, tmp_path: Path) -> None:
    lake = Lake(spark, tmp_path / "lake {a,b} [1]")
    lake.merge(TABLE, rows(spark, TABLE, "person_id | shift_days\n1 | -5"))
    assert holding(Path(lake.path(TABLE)), 0) is None and lake.read(TABLE).count() == 1


def test_many_commits_without_a_checkpoint_are_not_read(tmp_path: Path, lake: Lake) -> None:
    log = log_of(lake, tmp_path)
    (log / "_last_checkpoint").unlink()
    assert holding(tmp_path, 11) is not None
    for version in range(12, MOST_COMMITS + 1):
        commit(log, version).write_text(json.dumps({"commitInfo": {}}))
    assert holding(tmp_path, MOST_COMMITS - 1) is not None and holding(tmp_path, MOST_COMMITS) is None


@pytest.mark.parametrize("most", [MOST_FILES, 0])
def test_rows_are_those_of_the_version_that_was_read(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    monkeypatch.setattr("medlake.doors.holding.MOST_FILES", most)
    lake = Lake(spark, tmp_path)
    read = []
    for said, n in (("1 | -5\n2 | -6", 2), ("2 | -6\n3 | -7\n4 | -8", 3)):
        lake.merge(TABLE, rows(spark, TABLE, f"person_id | shift_days\n{said}"))
        assert ("InMemoryFileIndex" in lake.read(TABLE)._jdf.queryExecution().toString()) == (most > 0)
        read.append((lake.read(TABLE), n))
    assert [rows.count() for rows, _ in read] == [n for _, n in read]
    one, other = lake.read(TABLE), lake.read(TABLE)
    assert one.join(other, one["shift_days"] == other["shift_days"] - 1).count() == 2  # the columns of two readings differ


def test_files_that_are_gone_are_told(spark: SparkSession, tmp_path: Path) -> None:
    lake = Lake(spark, tmp_path)
    lake.merge(TABLE, rows(spark, TABLE, "person_id | shift_days\n1 | -5"))
    [file] = holding(Path(lake.path(TABLE)), 0).files
    file.unlink()
    with pytest.raises(DamagedLakeError, match=rf"1 file\(s\) of rows of version 0 are gone, {file.name} first"):
        lake.read(TABLE)
