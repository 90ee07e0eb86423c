"""A file of HL7 v2 → its messages as bytes: MLLP blocks, batches, or one message after the other.

A segment may end in CR (the standard), LF or CRLF, also mixed in one file. Bytes are kept as they came, line ends
too; nothing is decoded here. Memory holds one message at a time.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import IO

from medlake.sources.reading import BOM

CHUNK = 1024 * 1024
START, END = b"\x0b", b"\x1c"  # MLLP block characters (HL7 v2 Transport Specification)
ENVELOPE = (b"FHS", b"BHS", b"BTS", b"FTS")
_LINE = re.compile(rb"[^\r\n]*(?:\r\n|\r|\n)")


@dataclass(frozen=True)
class Frame:
    """One message, or one thing in a message's place: `fault` is the code of what the file itself shows."""

    data: bytes
    fault: str | None = None


@dataclass
class _Open:
    """What has been read of the message that is not finished yet."""

    framed: bool = False
    lines: list[bytes] = field(default_factory=list)
    size: int = 0
    is_cut: bool = False

    def add(self, line: bytes, max_bytes: int) -> None:
        room = max_bytes - self.size
        self.is_cut |= len(line) > room
        if room > 0:
            self.lines.append(line[:room])
        self.size += len(line)

    def closed(self, *, whole: bool) -> Iterator[Frame]:
        data = b"".join(self.lines)
        if not data.strip():
            return
        if self.is_cut:
            yield Frame(data[:1024], "message_too_long")
        elif self.framed and not whole:
            yield Frame(data, "truncated")
        else:
            yield Frame(data)


def frames(handle: IO[bytes], *, max_bytes: int) -> Iterator[Frame]:
    """Every message of the file in order; envelopes are checked (`batch_count`, `truncated`) and left out."""
    current, n_batch, awaited = _Open(), 0, set[bytes]()
    for number, line in enumerate(_lines(handle, max_bytes)):
        text = line.removeprefix(BOM) if number == 0 else line
        opens, body = text.startswith(START), text.lstrip(START)
        kind = body[:3]
        if opens or kind == b"MSH" or kind in ENVELOPE:
            yield from current.closed(whole=False)
            current = _Open(framed=opens)
            n_batch += kind == b"MSH"
        if kind in ENVELOPE:
            n_batch, fault = _envelope(body, n_batch, awaited)
            if fault:
                yield fault
            continue
        content, ends, after = body.partition(END)
        current.add(content, max_bytes)
        if ends:
            yield from current.closed(whole=True)
            current = _Open()
            if after.strip():
                current.add(after, max_bytes)
    yield from current.closed(whole=False)
    for kind in sorted(awaited):
        yield Frame(kind, "batch_truncated")


def _envelope(line: bytes, n_batch: int, awaited: set[bytes]) -> tuple[int, Frame | None]:
    """Follow FHS … BHS … BTS … FTS: BTS-1 tells how many messages the batch must have had."""
    kind = line[:3]
    if kind in (b"FHS", b"BHS"):
        awaited.add(b"FTS" if kind == b"FHS" else b"BTS")
        return (0 if kind == b"BHS" else n_batch), None
    awaited.discard(kind)
    said = line[4:].split(line[3:4] or b"|")[0].strip()
    if kind == b"BTS" and said.isdigit() and int(said) != n_batch:
        return 0, Frame(line, "batch_count")
    return n_batch, None


def _lines(handle: IO[bytes], max_bytes: int) -> Iterator[bytes]:
    """Lines with their ends; of a line longer than `max_bytes` so much that the caller sees it is too long."""
    left, is_skipping = b"", False
    while chunk := handle.read(CHUNK):
        left += chunk
        done = 0
        for found in _LINE.finditer(left):
            if found.end() == len(left) and left.endswith(b"\r"):
                break  # its LF may come with the next chunk
            if not is_skipping:
                yield found.group()
            is_skipping, done = False, found.end()
        left = left[done:]
        if len(left) > max_bytes + 1:
            if not is_skipping:
                yield left
            left, is_skipping = b"", True
    if left and not is_skipping:
        yield left
