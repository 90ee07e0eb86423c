"""The outbox: what leaves the lake as files, whole or not at all.

Everything is written by executors into a hidden folder beside the target, which takes its name at the end.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from pyspark import TaskContext
from pyspark.sql import DataFrame

from medlake.grammar.errors import UsageError

SUFFIX = {"csv": "csv", "parquet": "parquet", "text": "ndjson", "json": "ndjson"}
CSV = {
    "header": "true", "escape": '"', "nullValue": "", "emptyValue": '""', "ignoreLeadingWhiteSpace": "false",
    "ignoreTrailingWhiteSpace": "false", "timestampNTZFormat": "yyyy-MM-dd HH:mm:ss", "dateFormat": "yyyy-MM-dd",
}  # fmt: skip


PLACED = pa.schema([("name", pa.string()), ("reason", pa.string()), ("n_bytes", pa.int64())])
Make = Callable[[dict[str, Any], Path], str | None]
Opened = Callable[[], AbstractContextManager[Make]]


def _placed(make: Make, row: dict[str, Any], part: Path, to: Path) -> tuple[str | None, int]:
    """The reason why there is no file, or none and its size."""
    reason = make(row, part)
    if reason is not None:
        part.unlink(missing_ok=True)
        return reason, 0
    to.parent.mkdir(parents=True, exist_ok=True)
    part.replace(to)
    return None, to.stat().st_size


def free_folder(to: Path, lake: Path) -> Path:
    """The absolute path of a folder that may be written.

    Raises:
        UsageError: it holds something, is a file, or lies inside the lake.
    """
    to = to.expanduser().absolute()
    if to.is_relative_to(lake):
        raise UsageError(f"--to {to}: this is inside the lake. Name a folder outside of it.")
    if to.exists() and not (to.is_dir() and not any(to.iterdir())):
        raise UsageError(f"--to {to}: there is something already. Name a new or an empty folder.")
    return to


class Outbox:
    """One export. `with Outbox(folder) as box:` – the folder appears at the end, or not at all after an error.

    `is_private`: only its owner may look into it.
    """

    def __init__(self, to: Path, *, is_private: bool = False) -> None:
        self.to, self.mode = to, 0o700 if is_private else 0o777
        self.scratch = to.with_name(f".{to.name}.part")

    def __enter__(self) -> Outbox:
        if self.scratch.exists():  # of an export that was killed
            shutil.rmtree(self.scratch)
        self.scratch.parent.mkdir(parents=True, exist_ok=True)
        self.scratch.mkdir(mode=self.mode)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            shutil.rmtree(self.scratch, ignore_errors=True)
            return
        free_folder(self.to, self.scratch)
        if self.to.exists():
            self.to.rmdir()
        self.scratch.rename(self.to)

    def write(self, rows: DataFrame, form: str, name: str) -> int:
        """Write rows by executors as files: `name`, a number, a suffix; returns how many files.

        `form`: csv (RFC 4180, UTF-8, header, empty cell for null, UTC), parquet, json, or text (one column of lines).
        A table without rows still gives one file, with the columns where the format has any.
        """
        work = self.scratch / ".work"
        writer = rows.write.mode("errorifexists").option("compression", "snappy" if form == "parquet" else "none")
        for option, value in CSV.items() if form == "csv" else ():
            writer = writer.option(option, value)
        writer.format(form).save(str(work))
        parts = sorted(p for p in work.iterdir() if p.name.startswith("part-"))
        for number, part in enumerate(parts):
            to = self.scratch / f"{name}{number:05d}.{SUFFIX[form]}"
            to.parent.mkdir(parents=True, exist_ok=True)
            part.replace(to)
        shutil.rmtree(work)
        return len(parts)

    def read(self, rows: DataFrame, folder: str) -> DataFrame:
        """What `write` put into a folder of Parquet files."""
        return rows.sparkSession.read.schema(rows.schema).parquet(str(self.scratch / folder))

    def write_arrow(self, rows: DataFrame, schema: pa.Schema, name: str) -> DataFrame:
        """Write each partition as one Parquet file with exactly this Arrow schema; lazy: (file, n_rows) per file.

        Rows keep their order. A task that is tried again writes its file again; a partition without rows writes none.
        """
        folder, _, stem = name.rpartition("/")
        target = self.scratch / folder
        target.mkdir(parents=True, exist_ok=True)

        def write(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
            task = TaskContext.get()
            assert task is not None
            part = target / f".{stem}{task.partitionId()}.{task.taskAttemptId()}"
            file, n_rows, writer = f"{stem}{task.partitionId():05d}.parquet", 0, None
            for batch in batches:
                if batch.num_rows:
                    writer = writer or pq.ParquetWriter(part, schema)
                    writer.write_table(pa.Table.from_batches([batch]).select(schema.names).cast(schema))
                    n_rows += batch.num_rows
            if writer is not None:
                writer.close()
                part.replace(target / file)
                yield pa.RecordBatch.from_pydict({"file": [file], "n_rows": [n_rows]})

        return rows.mapInArrow(write, "file string, n_rows bigint")

    def write_each(self, rows: DataFrame, opened: Opened) -> DataFrame:
        """Write a file per row, named by its column `name`; lazy: (name, reason, n_bytes), no reason where written.

        `opened()` gives, once per task, what makes one file: (row, path) → None, or the reason why there is none.
        A task that is tried again writes its files again; nothing is left of a file that was held back.
        """
        target = self.scratch

        def write(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
            task = TaskContext.get()
            assert task is not None
            part = target / f".part{task.partitionId()}.{task.taskAttemptId()}"
            with opened() as make:
                for batch in batches:
                    done = [_placed(make, row, part, target / row["name"]) for row in batch.to_pylist()]
                    reasons, sizes = [d[0] for d in done], [d[1] for d in done]
                    told = {"name": batch.column("name"), "reason": reasons, "n_bytes": sizes}
                    yield pa.RecordBatch.from_pydict(told, schema=PLACED)

        return rows.mapInArrow(write, "name string, reason string, n_bytes bigint")

    def rename(self, name: str, to: str) -> None:
        """Give a file that `write` numbered the name that its format wants."""
        (self.scratch / name).rename(self.scratch / to)

    def note(self, name: str, text: str) -> None:
        """Write one small text file."""
        path = self.scratch / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
