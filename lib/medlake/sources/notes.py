"""Text files → bronze.note_document: one document a file, in whatever encoding it comes."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from pyspark.sql import DataFrame
from pyspark.sql import types as T

from medlake.sources.declared import Source
from medlake.sources.reading import Refused, digest, opened, per_file, refused

PAYLOAD = [
    T.StructField("record", T.MapType(T.StringType(), T.StringType()), True),
    T.StructField("text", T.StringType(), True),
    T.StructField("encoding", T.StringType(), True),
]
ENCODINGS = ("utf-8-sig", "cp1252")


def read_notes(files: DataFrame, sources: Mapping[str, Source], *, max_bytes: int) -> DataFrame:
    """One row per file; what its name says (the named groups of the source's pattern) is in `record`."""
    patterns = {s.name: re.compile(s.name_pattern) for s in sources.values() if s.name_pattern}

    def read(file: dict[str, Any]) -> Iterator[dict[str, Any]]:
        with opened(file["uri"]) as handle:
            data = handle.read(max_bytes + 1)
        if len(data) > max_bytes:
            yield refused(
                1, data[:1024], "line_too_long", f"Longer than {max_bytes} bytes; its start is kept."
            )
            return
        pattern = patterns.get(file["source"])
        said = pattern.fullmatch(file["file"].rpartition("/")[2]) if pattern else None
        if pattern and not said:
            yield refused(1, data, "file_name", "The file's name does not fit the source's pattern.")
            return
        try:
            text, encoding = decoded(data)
        except Refused as fault:
            yield refused(1, data, fault.code, fault.detail)
            return
        record = {k: v for k, v in said.groupdict().items() if v is not None} if said else {}
        yield {"row": 1, "row_hash": digest(data), "record": record, "text": text, "encoding": encoding}

    return per_file(files, read, PAYLOAD)


def decoded(data: bytes) -> tuple[str, str]:
    """The text and its encoding: by byte-order mark, then UTF-8, then Windows-1252.

    Raises:
        Refused: it holds NUL bytes, or bytes that no known encoding has.
    """
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return data.decode("utf-16", errors="strict"), "utf-16"
    if b"\x00" in data:
        raise Refused("nul_byte", "A NUL byte stands in the text.")
    for encoding in ENCODINGS:
        try:
            return data.decode(encoding), encoding.removesuffix("-sig")
        except UnicodeDecodeError:
            continue
    raise Refused("encoding", "Neither UTF-8 nor Windows-1252.")
