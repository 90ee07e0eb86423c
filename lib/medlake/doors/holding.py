"""What a table holds at a version, as the newest checkpoint of Delta's log and the commits after it say it.

To find the files of a version that it has not seen Delta runs three jobs, and another one for every query: for a small
table far more than reading it. What its log does not say in a few short files, Delta is asked.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.parquet as pq
from pyspark.sql.types import StructType

MOST_FILES = 32  # that Spark looks for without a job
MOST_COMMITS = 20  # after a checkpoint; Delta writes one every ten
SHORT = 500_000  # bytes of a commit or checkpoint that may name a few files
PATTERN = frozenset("*?[]{}\\")  # Spark takes a path with one of these for a pattern of paths

Action = dict[str, Any]


@dataclass(frozen=True)
class Holding:
    """The files of rows of a version, all their bytes, and the columns."""

    files: tuple[Path, ...]
    size_bytes: int
    schema: StructType


def holding(table: Path, version: int) -> Holding | None:
    """What the version holds; None: that takes more than a few short files to tell, or is for Delta alone to read."""
    live: dict[str, Action] = {}
    columns: Action = {}
    protocol: Action = {}
    try:
        for action in _actions(table / "_delta_log", version):
            if said := action.get("add"):
                live[said["path"]] = said
            elif said := action.get("remove"):
                live.pop(said["path"], None)
            columns, protocol = action.get("metaData") or columns, action.get("protocol") or protocol
        is_old = protocol["minReaderVersion"] == 1  # all readers understand it
        if not is_old or columns.get("partitionColumns") or PATTERN & set(str(table)):
            return None
        if len(live) > MOST_FILES or not all(map(_is_plain, live.values())):
            return None
        files = tuple(table / unquote(path) for path in live)
        size = sum(int(said["size"]) for said in live.values())
        return Holding(files, size, StructType.fromJson(json.loads(columns["schemaString"])))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, pa.ArrowException):
        return None


def _actions(log: Path, version: int) -> Iterator[Action]:
    """What was done up to the version, one thing after the other.

    Raises:
        OSError, ValueError, ArrowException: that cannot be told from a few short files.
    """
    start, last = 0, log / "_last_checkpoint"
    said = json.loads(last.read_text(encoding="utf-8")) if last.is_file() else None
    if said is not None and said["version"] <= version:
        if said.get("parts") or said.get("v2Checkpoint"):
            raise ValueError("a checkpoint of several files")
        start = said["version"] + 1
        checkpoint = pq.ParquetFile(_short(log / f"{said['version']:020d}.checkpoint.parquet"))
        yield from checkpoint.read(["add", "metaData", "protocol"]).to_pylist()
    if version - start >= MOST_COMMITS:
        raise ValueError("many commits")
    for number in range(start, version + 1):
        for line in _short(log / f"{number:020d}.json").read_text(encoding="utf-8").splitlines():
            yield json.loads(line)


def _short(file: Path) -> Path:
    if file.stat().st_size > SHORT:
        raise ValueError(f"{file.name} is long")
    return file


def _is_plain(file: Action) -> bool:
    """Whether every row of the file counts, and it lies in the table's folder."""
    path = str(file["path"])
    return not file.get("deletionVector") and not path.startswith("/") and ":" not in path
