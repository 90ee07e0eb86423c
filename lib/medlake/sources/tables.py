"""Table files (CSV, TSV, JSON lines, Parquet) → bronze.csv_record: by header name, every value as text."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import chain, islice
from typing import Any, Literal

import pyarrow.parquet as pq
from pyspark.sql import DataFrame
from pyspark.sql import types as T

from medlake.sources.declared import Source, Table
from medlake.sources.reading import Refused, digest, lines, opened, per_file, refused

PAYLOAD = [
    T.StructField("record", T.MapType(T.StringType(), T.StringType()), True),
    T.StructField("is_deletion", T.BooleanType(), True),
]
SEPARATORS = (",", ";", "\t", "|")
SNIFFED_LINES = 200
UTF16 = (b"\xff\xfe", b"\xfe\xff")


@dataclass(frozen=True)
class Dialect:
    """How one file reads, declared or detected."""

    encoding: str
    separator: str
    quote: str
    null: frozenset[str]


def read_records(
    files: DataFrame, sources: Mapping[str, Source], *, max_line_bytes: int, max_span_lines: int
) -> DataFrame:
    """One row per record of every file; a record that cannot be read has a `reason_code` and its raw text.

    `max_span_lines`: lines that one quoted value may run over before its quote counts as unclosed.
    """
    tables = {(s.name, t.name): t for s in sources.values() for t in s.tables}

    def read(file: dict[str, Any]) -> Iterator[dict[str, Any]]:
        table = tables[file["source"], file["source_table"]]
        bare = file["file"].removesuffix(".gz")
        if bare.endswith((".json", ".jsonl", ".ndjson")):
            records = _json_lines(file["uri"], max_line_bytes)
        elif bare.endswith(".parquet"):
            records = _parquet(file["uri"])
        else:
            records = _delimited(file["uri"], table, max_line_bytes, max_span_lines)
        for record in records:
            yield _keyed({**record, "is_deletion": file["is_deletion"]}, table)

    return per_file(files, read, PAYLOAD)


def _keyed(record: dict[str, Any], table: Table) -> dict[str, Any]:
    if record.get("reason_code"):
        return record
    absent = [k for k in table.key if not record["record"].get(k)]
    if not absent:
        return record
    raw = json.dumps(record["record"], ensure_ascii=False).encode()
    return refused(record["row"], raw, "key_missing", f"No value for the key ({', '.join(absent)}).")


def _delimited(uri: str, table: Table, max_bytes: int, max_span: int) -> Iterator[dict[str, Any]]:
    source = lines(uri, max_bytes=max_bytes)
    head = list(islice(source, SNIFFED_LINES))
    if head and head[0][1][:2] in UTF16:
        raise Refused("encoding", 'UTF-16 text: declare encoding = "utf-16" or convert it to UTF-8.')
    form = dialect(table, [line for _, line in head])
    stream = _Lookahead(chain(head, source))
    _, first = next(stream)
    header = _fields(first.removeprefix(b"\xef\xbb\xbf").decode(form.encoding, errors="replace"), form)
    if header is None:
        raise Refused("unclosed_quote", "The header has a quote that does not close.")
    for number, line in stream:
        if line.strip():
            yield _record(number, line, stream, header, form, max_bytes, max_span)


def _record(
    number: int,
    line: bytes,
    stream: _Lookahead,
    header: list[str],
    form: Dialect,
    max_bytes: int,
    max_span: int,
) -> dict[str, Any]:
    if len(line) > max_bytes:
        return refused(
            number, line[:1024], "line_too_long", f"Longer than {max_bytes} bytes; its start is kept."
        )
    quote = form.quote.encode()
    if quote and line.count(quote) % 2:
        return _spanning(number, line, stream, header, form, max_span)
    return _whole(number, line, header, form)


def _spanning(
    number: int, line: bytes, stream: _Lookahead, header: list[str], form: Dialect, max_span: int
) -> dict[str, Any]:
    """A record whose quoted value runs over several lines; if they do not make a sound record, its first line
    alone is refused and the others are read again: a quote that never closes takes no neighbour along.
    """
    more = stream.until_closed(line, form.quote.encode(), max_span)
    if more is not None:
        record = _whole(number, b"\n".join([line, *[text for _, text in more]]), header, form)
        if not record.get("reason_code"):
            return record
        stream.put_back(more)
    return refused(number, line, "unclosed_quote", "A quote opens and does not close.")


def _whole(number: int, line: bytes, header: list[str], form: Dialect) -> dict[str, Any]:
    fault = _text_fault(line, form)
    if fault:
        return refused(number, line, *fault)
    text = line.decode(form.encoding)
    values = _fields(text, form)
    if values is None:
        return refused(number, line, "unclosed_quote", "A quote opens and does not close.")
    if values == header:
        return refused(number, line, "second_header", "The header stands again among the records.")
    if len(values) != len(header):
        code = "too_few_fields" if len(values) < len(header) else "too_many_fields"
        return refused(number, line, code, f"{len(values)} fields, the header has {len(header)}.")
    record = {k: None if v.strip() in form.null else v for k, v in zip(header, values, strict=True)}
    return {"row": number, "row_hash": digest(line), "record": record}


def _text_fault(line: bytes, form: Dialect) -> tuple[str, str] | None:
    if b"\x00" in line:
        return "nul_byte", "A NUL byte stands in the text."
    try:
        line.decode(form.encoding)
    except UnicodeDecodeError as fault:
        return "encoding", f"Byte {fault.start} is not valid {form.encoding}."
    return None


def _fields(text: str, form: Dialect) -> list[str] | None:
    """The fields of one record, line breaks inside quotes kept; None where its quotes do not close."""
    quoting: Literal[0, 3] = csv.QUOTE_MINIMAL if form.quote else csv.QUOTE_NONE
    parts = text.splitlines(keepends=True) if "\n" in text else [text]
    reader = csv.reader(
        parts, delimiter=form.separator, quotechar=form.quote or None, quoting=quoting, strict=True
    )
    try:
        rows = list(reader)
    except csv.Error:
        return None
    return rows[0] if len(rows) == 1 else None


def dialect(table: Table, head: list[bytes]) -> Dialect:
    """What the table declares; the rest from the file's first lines.

    The separator is the one that splits the header most often; text that is mostly no UTF-8 where it is
    not ASCII is Windows-1252 (a superset of printable Latin-1).
    """
    strange = [line for line in head if not line.isascii()]
    broken = sum(1 for line in strange if not _is_utf8(line))
    encoding = table.encoding or ("cp1252" if broken * 2 > len(strange) else "utf-8")
    header = head[0].decode(encoding, errors="replace") if head else ""
    separator = table.separator or max(SEPARATORS, key=header.count)
    return Dialect(encoding, separator, table.quote, frozenset({"", *table.null}))


def _is_utf8(line: bytes) -> bool:
    try:
        line.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


class _Lookahead:
    """Numbered lines with a way back: a quote that never closes must not swallow the records after it."""

    def __init__(self, source: Iterator[tuple[int, bytes]]) -> None:
        self._source = source
        self._back: list[tuple[int, bytes]] = []

    def __iter__(self) -> _Lookahead:
        return self

    def __next__(self) -> tuple[int, bytes]:
        return self._back.pop(0) if self._back else next(self._source)

    def put_back(self, taken: list[tuple[int, bytes]]) -> None:
        """The lines will be read again."""
        self._back = taken + self._back

    def until_closed(self, line: bytes, quote: bytes, max_span: int) -> list[tuple[int, bytes]] | None:
        """The lines that close the quote opened in `line`, or None (and all of them put back)."""
        open_quotes, taken = line.count(quote), []
        for number, following in islice(self, max_span):
            taken.append((number, following))
            open_quotes += following.count(quote)
            if open_quotes % 2 == 0:
                return taken
        self.put_back(taken)
        return None


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
