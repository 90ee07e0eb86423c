"""JSON taken at its word: a key once, numbers that can be held, one value at a time and its place in the text.

Python's own reader keeps the last of two equal keys and takes NaN for a number, without a word.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from typing import Any

from medlake.sources.reading import Refused

LONGEST_INTEGER = 400  # digits; a double ends at 1.8e308
FIRST_WINDOW = 4 * 1024  # characters that are looked at first; grows where a value is longer
BLANK = re.compile(r"[ \t\n\r]*")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise Refused("json_duplicate_key", "A key stands twice in one object.")
    return value


def _no_constant(name: str) -> float:
    raise Refused("json_not_finite", f"{name} is no JSON number.")


def _finite(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise Refused("json_not_finite", "A number is too large to be held.")
    return value


def _bounded(text: str) -> int:
    if len(text) > LONGEST_INTEGER:
        raise Refused("json_not_finite", "A number is too large to be held.")
    return int(text)


STRICT: dict[str, Any] = {
    "object_pairs_hook": _once, "parse_constant": _no_constant, "parse_float": _finite, "parse_int": _bounded
}  # fmt: skip
TOLERANT: dict[str, Any] = {"parse_float": str, "parse_int": str}  # only to find where a value ends


class Cursor:
    """A place in a JSON text. Objects and arrays are walked, values decoded one by one: no tree of the whole text.

    `longest`: characters that one decoded value may have, so that none can fill the memory.
    """

    def __init__(self, text: str, longest: int) -> None:
        self.text, self.longest, self.at = text, longest, 0
        self._strict, self._tolerant = json.JSONDecoder(**STRICT), json.JSONDecoder(**TOLERANT)

    def sees(self, sign: str) -> bool:
        """Whether the next thing in the text is `sign`."""
        found = BLANK.match(self.text, self.at)
        self.at = found.end() if found else self.at
        return self.text.startswith(sign, self.at)

    def step(self, sign: str) -> None:
        """Step over `sign`.

        Raises:
            Refused: something else stands here.
        """
        if not self.sees(sign):
            raise Refused("json_invalid", f"Not JSON at character {self.at}: cut off or damaged.")
        self.at += len(sign)

    def members(self) -> Iterator[str]:
        """The keys of the object that starts here; whoever gets a key steps over its value."""
        self.step("{")
        seen: set[str] = set()
        while not (not seen and self.sees("}")):
            if not self.sees('"'):
                self.step('"')
            key = self.value()
            if key in seen:
                raise Refused("json_duplicate_key", "A key stands twice in one object.")
            seen.add(key)
            self.step(":")
            self.sees("")
            yield key
            if not self.sees(","):
                break
            self.step(",")
        self.step("}")

    def items(self) -> Iterator[int]:
        """The places of the items of the array that starts here; whoever gets one steps over the item."""
        self.step("[")
        n = 0
        while not (not n and self.sees("]")):
            self.sees("")
            yield n
            n += 1
            if not self.sees(","):
                break
            self.step(",")
        self.step("]")

    def value(self) -> Any:
        """The value that starts here, decoded strictly; the cursor goes behind it.

        Raises:
            Refused: it is no JSON, longer than `longest`, or not strict.
        """
        value, self.at = self._decoded(self._strict)
        return value

    def skip(self) -> None:
        """Step over the value that starts here, strict or not."""
        _, self.at = self._decoded(self._tolerant)

    def end(self) -> None:
        """Nothing may follow.

        Raises:
            Refused: something does.
        """
        self.sees("")
        if self.at < len(self.text):
            raise Refused("json_trailing", "Something follows the object.")

    def _decoded(self, decoder: json.JSONDecoder) -> tuple[Any, int]:
        self.sees("")
        size = FIRST_WINDOW
        while True:
            piece = self.text[self.at : self.at + size]
            is_last = self.at + size >= len(self.text)
            try:
                value, end = decoder.raw_decode(piece)
                if is_last or end < len(piece):  # a number that ends with the window may go on behind it
                    return value, self.at + end
            except json.JSONDecodeError as fault:
                if is_last:
                    place = self.at + fault.pos
                    raise Refused("json_invalid", f"Not JSON at character {place}: cut off or damaged.") from fault
            except RecursionError as fault:
                raise Refused("json_invalid", "Nested too deeply.") from fault
            if size >= self.longest:
                raise Refused("line_too_long", f"At character {self.at} a value is longer than {self.longest}.")
            size = min(size * 8, self.longest)
