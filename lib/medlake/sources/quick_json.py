"""Sound JSON read fast: what the quick parser cannot vouch for is left to the strict one.

orjson is three times as fast as the standard library and as strict about text, but it keeps the last of two equal
keys without a word. A key that was dropped takes its quotes along: where the object, written again, has as many
quotes as its line, nothing was dropped. Only a quote written as an escape number would spoil that count.
"""

from __future__ import annotations

from typing import Any

import orjson

QUOTE_BY_NUMBER = b"\\u0022"


def quick_object(line: bytes) -> dict[str, Any] | None:
    """The object of a line; None where the strict parser must judge.

    Integers beyond 64 bits are floats here.
    """
    try:
        value = orjson.loads(line)
        if not isinstance(value, dict) or QUOTE_BY_NUMBER in line:
            return None
        again = orjson.dumps(value)
    except (orjson.JSONDecodeError, orjson.JSONEncodeError):
        return None
    return value if again.count(b'"') == line.count(b'"') else None
