"""Old versions for good: a table as it is now, and no file of what it was.

Rows that Delta deletes stay in older files, in the change feed, in the statistics of old commits and in checkpoints.
Here a table is written down whole in a new checkpoint, and everything older goes. Time travel ends there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from delta.tables import DeltaTable

from medlake.doors.lake import Lake

LISTING = "spark.sql.sources.parallelPartitionDiscovery.parallelism"  # 10,000 tasks for a folder, unless told
CHECK = "spark.databricks.delta.retentionDurationCheck.enabled"
AT_ONCE = "delta.deletedFileRetentionDuration"


def purge(lake: Lake, name: str) -> int:
    """Remove every file of the table that its newest version does not need; returns how many there were.

    The book of commits and the readers of changes go on: versions are counted on.
    """
    path, log = Path(lake.path(name)), Path(lake.path(name)) / "_delta_log"
    before = {file for file in path.rglob("*") if file.is_file()}
    # names of files that were removed, with their statistics, stay in a checkpoint for a week: not in this one
    _alter(lake, name, f"SET TBLPROPERTIES ('{AT_ONCE}' = 'interval 0 seconds')")
    whole = _checkpoint(lake, name)
    with _set(lake, {CHECK: "false", LISTING: str(2 * lake.spark.sparkContext.defaultParallelism)}):
        DeltaTable.forPath(lake.spark, str(path)).vacuum(0.0)
    _alter(lake, name, f"UNSET TBLPROPERTIES ('{AT_ONCE}')")
    for file in log.iterdir():
        number = file.name.lstrip(".").partition(".")[0]
        if number.isdigit() and int(number) < whole:
            file.unlink()
    _forget_snapshot(lake, path)
    return sum(1 for file in before if not file.exists())


@contextmanager
def _set(lake: Lake, choices: Mapping[str, str]) -> Iterator[None]:
    """Settings of the session for a while."""
    was: dict[str, str | None] = {name: lake.spark.conf.get(name, None) for name in choices}
    try:
        for name, value in choices.items():
            lake.spark.conf.set(name, value)
        yield
    finally:
        for name, old in was.items():
            lake.spark.conf.unset(name) if old is None else lake.spark.conf.set(name, old)


def _alter(lake: Lake, name: str, what: str) -> None:
    lake.spark.sql(f"ALTER TABLE delta.`{lake.path(name)}` {what}")
    lake.noted(name)


def _checkpoint(lake: Lake, name: str) -> int:
    """Write the newest version down whole; its number."""
    jvm: Any = lake.spark._jvm
    none = jvm.scala.Option.empty()
    log = jvm.org.apache.spark.sql.delta.DeltaLog.forTable(lake.spark._jsparkSession, lake.path(name))
    snapshot = log.update(False, none, none)
    log.checkpoint(snapshot, none)
    return int(snapshot.version())


def _forget_snapshot(lake: Lake, path: Path) -> None:
    """What the driver remembers of the table names files that are gone."""
    jvm: Any = lake.spark._jvm
    where = jvm.org.apache.hadoop.fs.Path(str(path))
    jvm.org.apache.spark.sql.delta.DeltaLog.invalidateCache(lake.spark._jsparkSession, where)
