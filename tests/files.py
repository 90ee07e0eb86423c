"""Readers without Spark: files in, records out, in this process, where time and memory can be seen."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyspark.sql.pandas.types import to_arrow_schema

from medlake.sources.reading import FILE, digest


@dataclass(frozen=True)
class Files:
    """Stands for a DataFrame of files."""

    rows: list[dict[str, Any]]

    def mapInArrow(self, run: Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]], _schema: Any) -> list[dict[str, Any]]:  # noqa: N802
        batch = pa.RecordBatch.from_pylist(self.rows, schema=to_arrow_schema(FILE))
        return [row for out in run(iter([batch])) for row in out.to_pylist()]


def file_row(path: Path, source: str, table: str, *, is_deletion: bool = False) -> dict[str, Any]:
    """A file as the manifest tells it."""
    data = path.read_bytes()
    return {
        "source": source, "source_table": table, "is_deletion": is_deletion, "file": path.name,
        "uri": str(path), "size_bytes": len(data), "file_sha256": digest(data), "batch": 1,
    }  # fmt: skip
