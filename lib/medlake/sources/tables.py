"""Table files (CSV, TSV, fixed width, JSON lines, Parquet) → bronze.csv_record: by name, every value as text."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, islice
from typing import Any

import pyarrow.parquet as pq
from pyspark.sql import DataFrame
from pyspark.sql import types as T

from medlake.sources.declared import Source, Table
from medlake.sources.delimited import Dialect, Lookahead, dialect, fields_of, record_of
from medlake.sources.reading import Refused, digest, lines, opened, per_file, refused, text_of

PAYLOAD = [
    T.StructField("record", T.MapType(T.StringType(), T.StringType()), True),
    T.StructField("is_deletion", T.BooleanType(), True),
]
SNIFFED_LINES = 200
JSON_LINES, PARQUET = (".json", ".jsonl", ".ndjson"), ".parquet"  # what else a file may be, by its name
UTF16 = (b"\xff\xfe", b"\xfe\xff")


def read_records(
    files: DataFrame, sources: Mapping[str, Source], *, max_line_bytes: int, max_span_lines: int
) -> DataFrame:
    """One row per record of every file; a record that cannot be read has a `reason_code` and its raw text.

    `max_span_lines`: lines that one quoted value may run over before its quote counts as unclosed.
    """
    tables = {(s.name, t.name): t for s in sources.values() for t in s.tables}

    def read(file: dict[str, Any]) -> Iterator[dict[str, Any]]:
        table = tables[file["source"], file["source_table"]]
        parts = sources[file["source"]].sections(file["file"]) if table.section else ()
        bare = file["file"].removesuffix(".gz")
        if bare.endswith(JSON_LINES):
            records = _json_lines(file["uri"], max_line_bytes)
        elif bare.endswith(PARQUET):
            records = _parquet(file["uri"])
        else:
            records = text_records(file["uri"], table, parts, max_line_bytes, max_span_lines)
        for record in records:
            owner = tables[file["source"], record.get("source_table", table.name)]
            yield _keyed({**record, "is_deletion": file["is_deletion"]}, owner)

    return per_file(files, read, PAYLOAD)


def _keyed(record: dict[str, Any], table: Table) -> dict[str, Any]:
    if record.get("reason_code"):
        return record
    absent = [k for k in table.key if not record["record"].get(k)]
    if not absent:
        return record
    raw = json.dumps(record["record"], ensure_ascii=False).encode()
    fault = refused(record["row"], raw, "key_missing", f"No value for the key ({', '.join(absent)}).")
    return {**fault, "source_table": table.name}


def text_records(
    uri: str, table: Table, parts: Sequence[Table], max_bytes: int, max_span: int
) -> Iterator[dict[str, Any]]:
    """The records of one text file, in the layout that its table declares. `parts`: the tables of its sections.

    Raises:
        Refused: the file as a whole cannot be read.
    """
    stream, form = _started(uri, table, max_bytes)
    if parts:
        yield from _sections(stream, parts, form, max_bytes, max_span)
        return
    header = list(table.columns)
    if table.header:
        _, first = next(stream)
        header = _header(first, table, form)
    for number, line in stream:
        if not line.strip():
            continue
        if table.fixed:
            yield _cut(number, line, table, form, max_bytes)
        else:
            yield record_of(number, line, stream, header, form, max_bytes, max_span)


def _started(uri: str, table: Table, max_bytes: int) -> tuple[Lookahead, Dialect]:
    source = lines(uri, max_bytes=max_bytes)
    head = list(islice(source, SNIFFED_LINES))
    if head and head[0][1][:2] in UTF16:
        raise Refused("encoding", 'UTF-16 text: declare encoding = "utf-16" or convert it to UTF-8.')
    return Lookahead(chain(head, source)), dialect(table, [line for _, line in head])


def _header(line: bytes, table: Table, form: Dialect) -> list[str]:
    """The names of the columns: no blanks around them, in the spelling that the declaration uses."""
    names = fields_of(line.decode(form.encoding, errors="replace"), form)
    if names is None:
        raise Refused("unclosed_quote", "The header has a quote that does not close.")
    told = (*table.columns, *table.key, *table.optional, *([table.patient] if table.patient else []))
    known = {name.casefold(): name for name in told}
    header = [known.get(name.strip().casefold(), name.strip()) for name in names]
    if len({name.casefold() for name in header}) < len(header):
        raise Refused("header_duplicate", "The header names a column twice.")
    return header


def header_of(uri: str, table: Table, parts: Sequence[Table], max_bytes: int) -> dict[str, list[str]]:
    """Source table → the columns that a text or Parquet file brings; empty where no header tells them.

    Raises:
        Refused: the header cannot be read.
    """
    bare = uri.removesuffix(".gz")
    if bare.endswith(PARQUET):
        with opened(uri) as handle:
            return {table.name: list(pq.read_schema(handle).names)}
    if not table.header or bare.endswith(JSON_LINES):
        return {}
    stream, form = _started(uri, table, max_bytes)
    if not parts:
        first = next(stream, None)
        return {table.name: _header(first[1], table, form)} if first else {}
    return {part.name: header for _, _, part, header in _blocks(stream, parts, form) if part and header}


def _blocks(
    stream: Lookahead, parts: Sequence[Table], form: Dialect
) -> Iterator[tuple[int, bytes, Table | None, list[str] | None]]:
    """(number, line, table, header) of each line that is no blank; the header stands at its own line only."""
    opens, part = True, None
    for number, line in stream:
        if not line.decode(form.encoding, errors="replace").replace(form.separator, "").strip():
            opens = True
            continue
        header = None
        if opens:
            fields = fields_of(line.decode(form.encoding, errors="replace"), form) or [""]
            part = next((p for p in parts if p.section == fields[0].strip()), None)
            header = _header(line, part, form) if part else None
            opens = False
        yield number, line, part, header


def _sections(
    stream: Lookahead, parts: Sequence[Table], form: Dialect, max_bytes: int, max_span: int
) -> Iterator[dict[str, Any]]:
    """Blocks of one file, a blank line between them; a block that no table declares is set aside line by line."""
    columns: list[str] = []
    for number, line, part, header in _blocks(stream, parts, form):
        if part is None:
            yield refused(number, line, "section_unknown", "No table of the source declares this block.")
        elif header is not None:
            columns = header
        else:
            record = record_of(number, line, stream, columns, form, max_bytes, max_span)
            yield {**record, "source_table": part.name}


def _cut(number: int, line: bytes, table: Table, form: Dialect, max_bytes: int) -> dict[str, Any]:
    """A record whose columns stand at fixed places, counted in characters; padding is not part of a value."""
    try:
        text = _as_wide(line, table, form, max_bytes)
    except Refused as fault:
        return refused(number, line[:max_bytes], fault.code, fault.detail)
    values = {name: text[start - 1 : start - 1 + width].strip() for name, start, width in table.fixed}
    record = {name: None if value in form.null else value for name, value in values.items()}
    return {"row": number, "row_hash": digest(line), "record": record}


def _as_wide(line: bytes, table: Table, form: Dialect, max_bytes: int) -> str:
    """The line's text, as wide as its columns."""
    if len(line) > max_bytes:
        raise Refused("line_too_long", f"Longer than {max_bytes} bytes; its start is kept.")
    text, end = text_of(line, form.encoding), max(start - 1 + width for _, start, width in table.fixed)
    if text[end:].strip():
        raise Refused("line_too_wide", f"Text stands behind the last column, which ends at character {end}.")
    needed = [start for name, start, _ in table.fixed if name not in table.optional]
    if len(text) < max(needed, default=0):
        raise Refused("line_too_short", f"{len(text)} characters; the last column starts at {max(needed)}.")
    return text


def _json_lines(uri: str, max_bytes: int) -> Iterator[dict[str, Any]]:
    for number, line in lines(uri, max_bytes=max_bytes):
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        except (ValueError, RecursionError):
            yield refused(number, line, "json_invalid", "Not a JSON object.")
            continue
        if not isinstance(value, dict):
            yield refused(number, line, "json_not_object", "The line holds JSON, but no object.")
            continue
        record = {k: v if isinstance(v, str) else json.dumps(v) for k, v in value.items() if v is not None}
        yield {"row": number, "row_hash": digest(line), "record": record}


def _parquet(uri: str) -> Iterator[dict[str, Any]]:
    number = 0
    with opened(uri) as handle:
        for batch in pq.ParquetFile(handle).iter_batches(batch_size=4096):
            for value in batch.to_pylist():
                number += 1
                record = {k: str(v) for k, v in value.items() if v is not None}
                seen = json.dumps(record, sort_keys=True).encode()
                yield {"row": number, "row_hash": digest(seen), "record": record}
