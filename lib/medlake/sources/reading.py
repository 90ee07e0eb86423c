"""Opening files on executors: one file at a time, rows out in bounded Arrow batches, no poison spreads."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import IO, Any

import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import types as T
from pyspark.sql.pandas.types import to_arrow_schema

BATCH_ROWS = 4_096
BATCH_BYTES = 32 * 1024 * 1024
GZIP_MAGIC = b"\x1f\x8b"
BOM = b"\xef\xbb\xbf"  # of UTF-8: no part of the text
CHUNK = 1024 * 1024
LONG_TEXTS = ("raw", "json", "text", "segments")  # the fields of a record that may be long

# What a file of the manifest carries: one row per file that was claimed by a source.
FILE = T.StructType(
    [
        T.StructField("source", T.StringType(), False),
        T.StructField("source_table", T.StringType(), False),
        T.StructField("is_deletion", T.BooleanType(), False),
        T.StructField("file", T.StringType(), False),
        T.StructField("uri", T.StringType(), False),
        T.StructField("size_bytes", T.LongType(), False),
        T.StructField("file_sha256", T.StringType(), False),
        T.StructField("batch", T.IntegerType(), False),
    ]
)
# What every reader adds about where a record stands and whether it was refused.
STANDS = [
    T.StructField("source", T.StringType(), False),
    T.StructField("source_table", T.StringType(), False),
    T.StructField("file", T.StringType(), False),
    T.StructField("file_sha256", T.StringType(), False),
    T.StructField("row", T.LongType(), False),
    T.StructField("batch", T.IntegerType(), False),
    T.StructField("row_hash", T.StringType(), False),
]
VERDICT = [
    T.StructField("reason_code", T.StringType(), True),
    T.StructField("detail", T.StringType(), True),
    T.StructField("raw", T.StringType(), True),
]


@dataclass(frozen=True)
class Refused(Exception):  # noqa: N818 (a verdict on one record, not an error of the program)
    """One record that cannot be taken in: its stable code and a sentence."""

    code: str
    detail: str

    def __reduce__(self) -> tuple[type[Refused], tuple[str, str]]:
        return Refused, (self.code, self.detail)  # it comes out of child processes, and is frozen


def per_file(
    files: DataFrame,
    read: Callable[[dict[str, Any]], Iterable[dict[str, Any]]],
    payload: list[T.StructField],
) -> DataFrame:
    """Run `read` on every file row on executors; one output row per record it yields.

    `read` yields dicts with `row` (int), `row_hash`, the payload's fields, or `reason_code`, `detail`, `raw`;
    where each record stands is filled in here. A file that fails as a whole becomes one refused record.
    """
    schema = T.StructType([*STANDS, *payload, *VERDICT])
    arrow = to_arrow_schema(schema, timezone="UTC")

    def run(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            for file in batch.to_pylist():
                yield from _batched(_guarded(file, read), arrow)

    return files.mapInArrow(run, schema)


def _guarded(
    file: dict[str, Any], read: Callable[[dict[str, Any]], Iterable[dict[str, Any]]]
) -> Iterator[dict[str, Any]]:
    stands = {name: file[name] for name in ("source", "source_table", "file", "file_sha256", "batch")}
    empty = {"row_hash": file["file_sha256"]}
    try:
        if file["size_bytes"] == 0:
            raise Refused("file_empty", "The file holds no byte.")
        for record in read(file):
            yield {**stands, **record}
    except Refused as fault:
        yield {**stands, **empty, "row": 0, "reason_code": fault.code, "detail": fault.detail, "raw": ""}
    except Exception as fault:  # one poison file stops nothing else; what it was is in `detail`
        said = f"The file cannot be read ({type(fault).__name__})."
        yield {**stands, **empty, "row": 0, "reason_code": "file_unreadable", "detail": said, "raw": ""}


def _batched(records: Iterable[dict[str, Any]], schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    rows: list[dict[str, Any]] = []
    size = 0
    for record in records:
        rows.append(record)
        size += sum(len(record.get(name) or "") for name in LONG_TEXTS) + 200
        if len(rows) >= BATCH_ROWS or size >= BATCH_BYTES:
            yield _arrow(rows, schema)
            rows, size = [], 0
    if rows:
        yield _arrow(rows, schema)


def _arrow(rows: list[dict[str, Any]], schema: pa.Schema) -> pa.RecordBatch:
    """The rows as Arrow; where one cannot be stored (half a character, a date beyond all calendars) it is refused."""
    try:
        return pa.RecordBatch.from_pylist(rows, schema=schema)
    except (UnicodeError, OverflowError, ValueError, pa.ArrowException):
        if len(rows) > 1:
            each = [_arrow([row], schema) for row in rows]
            return pa.Table.from_batches(each).combine_chunks().to_batches()[0]
        whole = json.dumps(rows[0], default=str).encode()  # escapes what no encoding has
        stands = {f.name: _storable(rows[0][f.name]) for f in STANDS}
        bad = refused(stands["row"], whole, "encoding", "The record holds what no text or calendar can hold.")
        return pa.RecordBatch.from_pylist([stands | bad], schema=schema)


def _storable(value: Any) -> Any:
    return value.encode("utf-8", "backslashreplace").decode() if isinstance(value, str) else value


def refused(row: int, raw: bytes, code: str, detail: str) -> dict[str, Any]:
    """A record set aside whole; bytes that are no UTF-8 are kept as \\x escapes."""
    text = raw.decode("utf-8", errors="backslashreplace").replace("\x00", "\\x00")
    return {"row": row, "row_hash": digest(raw), "reason_code": code, "detail": detail, "raw": text}


def digest(data: bytes) -> str:
    """sha256 as hex."""
    return hashlib.sha256(data).hexdigest()


def file_digest(uri: str) -> str:
    """sha256 of a file's bytes, in constant memory."""
    seen = hashlib.sha256()
    with open(uri, "rb") as handle:  # noqa: PTH123 (a URI that the manifest gave)
        while chunk := handle.read(CHUNK):
            seen.update(chunk)
    return seen.hexdigest()


def opened(uri: str) -> IO[bytes]:
    """The file's bytes, unpacked where it is gzip by its first bytes (whatever its name says)."""
    handle = open(uri, "rb")  # noqa: PTH123, SIM115
    magic = handle.read(2)
    handle.seek(0)
    return gzip.GzipFile(fileobj=handle) if magic == GZIP_MAGIC else handle  # type: ignore[return-value]


def lines(uri: str, *, max_bytes: int) -> Iterator[tuple[int, bytes]]:
    """(number from 1, bytes without line end) of each line; LF, CRLF or, in a file without any LF, CR; no BOM.

    A line longer than `max_bytes` is cut there, so that no line can fill the memory; the caller sees
    `len > max_bytes`.
    """
    with opened(uri) as handle:
        head = handle.read(64 * 1024)
        old_mac = b"\r" in head and b"\n" not in head
    with opened(uri) as handle:
        found = _cr_lines(handle, max_bytes) if old_mac else _lf_lines(handle, max_bytes)
        for number, line in enumerate(found, start=1):
            yield number, line.removeprefix(BOM) if number == 1 else line


def text_of(line: bytes, encoding: str = "utf-8") -> str:
    """The text of a line.

    Raises:
        Refused: a NUL byte stands in it (`nul_byte`), or it is no text of the encoding (`encoding`).
    """
    if b"\x00" in line:
        raise Refused("nul_byte", "A NUL byte stands in the text.")
    try:
        return line.decode(encoding)
    except UnicodeDecodeError as fault:
        raise Refused("encoding", f"Byte {fault.start} is not valid {encoding.upper()}.") from fault


def _lf_lines(handle: IO[bytes], max_bytes: int) -> Iterator[bytes]:
    while line := handle.readline(max_bytes + 2):
        if len(line) > max_bytes and not line.endswith(b"\n"):
            while (rest := handle.readline(max_bytes)) and not rest.endswith(b"\n"):
                continue
        yield line.removesuffix(b"\n").removesuffix(b"\r")


def _cr_lines(handle: IO[bytes], max_bytes: int) -> Iterator[bytes]:
    left = b""
    while chunk := handle.read(CHUNK):
        *whole, left = (left + chunk).split(b"\r")
        yield from whole
        left = left[: max_bytes + 1]  # of a line that has no end yet, enough to see that it is too long
    if left:
        yield left


def walk(folder: str) -> Iterator[tuple[str, str, int]]:
    """(path below the folder, uri, size) of every regular file, hidden ones and sub-folders too; no links."""
    stack = [folder]
    while stack:
        here = stack.pop()
        with os.scandir(here) as entries:
            for entry in sorted(entries, key=lambda e: e.name):
                if entry.is_dir(follow_symlinks=False):
                    stack.append(entry.path)
                elif entry.is_file(follow_symlinks=False):
                    relative = os.path.relpath(entry.path, folder)
                    yield relative, entry.path, entry.stat(follow_symlinks=False).st_size
