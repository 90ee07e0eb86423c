"""Separated text, line by line: what declares or betrays its dialect, and one record of it or its fault."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any, Literal

from medlake.sources.declared import Table
from medlake.sources.reading import Refused, digest, refused, text_of

SEPARATORS = (",", ";", "\t", "|")


@dataclass(frozen=True)
class Dialect:
    """How one file reads, declared or detected."""

    encoding: str
    separator: str
    quote: str
    null: frozenset[str]


def record_of(
    number: int,
    line: bytes,
    stream: Lookahead,
    header: list[str],
    form: Dialect,
    max_bytes: int,
    max_span: int,
) -> dict[str, Any]:
    """One record of the columns in `header`, or its refusal; lines that a quote runs over come from `stream`."""
    if len(line) > max_bytes:
        return refused(
            number, line[:1024], "line_too_long", f"Longer than {max_bytes} bytes; its start is kept."
        )
    quote = form.quote.encode()
    if quote and line.count(quote) % 2:
        return _spanning(number, line, stream, header, form, max_span)
    return _whole(number, line, header, form)


def _spanning(
    number: int, line: bytes, stream: Lookahead, header: list[str], form: Dialect, max_span: int
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
    try:
        text = text_of(line, form.encoding)
    except Refused as fault:
        return refused(number, line, fault.code, fault.detail)
    values = fields_of(text, form)
    if values is None:
        return refused(number, line, "unclosed_quote", "A quote opens and does not close.")
    if len(values) == len(header) and all(_same_name(v, h) for v, h in zip(values, header, strict=True)):
        return refused(number, line, "second_header", "The header stands again among the records.")
    if len(values) != len(header):
        code = "too_few_fields" if len(values) < len(header) else "too_many_fields"
        return refused(number, line, code, f"{len(values)} fields, the header has {len(header)}.")
    record = {k: None if v.strip() in form.null else v for k, v in zip(header, values, strict=True)}
    return {"row": number, "row_hash": digest(line), "record": record}


def _same_name(value: str, name: str) -> bool:
    return value == name or value.strip().casefold() == name.casefold()


def fields_of(text: str, form: Dialect) -> list[str] | None:
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


class Lookahead:
    """Numbered lines with a way back: a quote that never closes must not swallow the records after it."""

    def __init__(self, source: Iterator[tuple[int, bytes]]) -> None:
        self._source = source
        self._back: list[tuple[int, bytes]] = []

    def __iter__(self) -> Lookahead:
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
