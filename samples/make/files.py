"""Writing files so that the same content always gives the same bytes."""

import csv
import gzip
import hashlib
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

Json = dict[str, Any]


def as_line(resource: Json) -> bytes:
    """One resource as one NDJSON line without its line feed, keys in the order given."""
    return json.dumps(resource, ensure_ascii=False, separators=(",", ":")).encode()


def write_bytes(path: Path, content: bytes) -> None:
    """Write `content`; a name that ends in .gz is compressed without a time stamp or file name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".gz":
        buffer = io.BytesIO()
        with gzip.GzipFile(filename="", mode="wb", fileobj=buffer, compresslevel=9, mtime=0) as stream:
            stream.write(content)
        content = buffer.getvalue()
    path.write_bytes(content)


def read_bytes(path: Path) -> bytes:
    """The content of a file written by `write_bytes`."""
    content = path.read_bytes()
    return gzip.decompress(content) if path.suffix == ".gz" else content


def write_lines(path: Path, lines: Iterable[bytes]) -> None:
    """Write lines, each ended by a line feed."""
    write_bytes(path, b"".join(line + b"\n" for line in lines))


def csv_line(values: Sequence[object], separator: str = ",") -> str:
    """One CSV record without its line end, quoted only where it must be."""
    buffer = io.StringIO()
    csv.writer(buffer, delimiter=separator, lineterminator="\n").writerow(values)
    return buffer.getvalue().removesuffix("\n")


def csv_lines(
    rows: Sequence[Mapping[str, object]], columns: Sequence[str], separator: str = ","
) -> list[str]:
    """A header and one line per row."""
    return [csv_line(columns, separator)] + [
        csv_line([row.get(column, "") for column in columns], separator) for row in rows
    ]


def number_of(*parts: object) -> int:
    """A number that depends on nothing but `parts`: the generator's only source of chance."""
    return int.from_bytes(hashlib.sha256("\x1f".join(map(str, parts)).encode()).digest()[:8], "big")
