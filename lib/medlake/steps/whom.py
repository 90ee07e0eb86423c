"""Whom a command is about: a key is read from a file or standard input, never from the command line that others see."""

from __future__ import annotations

import sys
from pathlib import Path

from medlake.grammar.errors import UsageError


def whom(source: str | None, key_file: Path | None, person_id: int | None) -> dict[str, str | None]:
    """What the step is told.

    Raises:
        UsageError: it is not said in one of the two ways.
    """
    by_key = source is not None and key_file is not None
    if by_key == (person_id is not None):
        raise UsageError("forget: say --source and --key-file, or --person-id")
    if person_id is not None:
        return {"person_id": str(person_id)}
    assert key_file is not None
    if str(key_file) != "-" and not key_file.is_file():
        raise UsageError("forget: there is no such --key-file")
    lines = (sys.stdin.read() if str(key_file) == "-" else key_file.read_text(encoding="utf-8")).splitlines()
    if len(lines) != 1 or not lines[0].strip():
        raise UsageError("forget: the key file holds one key on one line")
    return {"source": source, "key": lines[0].strip()}
