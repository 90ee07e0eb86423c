"""What stands in a note instead of an identifier: something alike, the same for the same person every time.

A miss does not stand out among surrogates as it does among blanks. Dates move by the person's shift in the form in
which they were written; digits and letters are replaced by keyed ones of the same shape.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from functools import lru_cache
from hashlib import sha256

from medlake.privacy.lexicon import Lexicon, is_installed, ranked
from medlake.privacy.note_patterns import ADDRESS, AGE, CONTACT, DATE, ID, NAME, PLACE
from medlake.privacy.recognise import Span
from medlake.privacy.shift_dates import OLDEST_AGE

N_NAMES = 400  # the most frequent of each list: nobody is told by a frequent name
TOWNS = ("Ashford", "Brookfield", "Clearwater", "Fairview", "Greenville", "Kingston", "Milton", "Newport", "Oakdale",
         "Riverside", "Springdale", "Westfield")  # fmt: skip
STREETS = ("Birch Street", "Cedar Avenue", "Elm Street", "Hill Road", "Lake Drive", "Maple Avenue", "Oak Street",
           "Park Road", "Pine Street", "River Road", "School Street", "Walnut Street")  # fmt: skip
NO_NAMES = ("Alex", "Casey", "Jordan", "Morgan", "Riley", "Robin", "Taylor", "Quinn")  # without the extra
NUMERIC_FORMS = ("%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M", "%Y-%m-%d", "%Y/%m/%d", "%Y.%m.%d",
                 "%Y%m%d", "%m/%d/%Y", "%m-%d-%Y", "%d.%m.%Y", "%d/%m/%Y", "%m/%d/%y", "%m-%d-%y",
                 "%d.%m.%y")  # fmt: skip
WORD_FORMS = ("%B %d %Y", "%b %d %Y", "%d %B %Y", "%d %b %Y", "%B %Y", "%b %Y")
WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
WORD = re.compile(r"[^\W\d_]+")


@dataclass(frozen=True)
class Writer:
    """Writes the surrogates of one person."""

    key: bytes = field(repr=False)  # of the person: the event key's bytes
    shift_days: int
    known: Lexicon = field(repr=False)

    def rewrite(self, text: str, spans: Iterable[Span]) -> str:
        """The text with a surrogate for each span."""
        parts, at = [], 0
        for span in sorted(spans):
            parts += [text[at : span.start], self.surrogate(text[span.start : span.end], span)]
            at = span.end
        return "".join([*parts, text[at:]])

    def surrogate(self, said: str, span: Span) -> str:
        """What stands for one identifier."""
        if span.kind == NAME:
            return WORD.sub(lambda word: self._name(word[0]), said)
        if span.kind == DATE:
            return moved(said, self.shift_days) or self._alike(said)
        if span.kind == AGE:
            return str(OLDEST_AGE)
        if span.kind == PLACE:
            return self._one(TOWNS, said)
        if span.kind == ADDRESS:
            street = f"{1 + self._number(said) % 999} {self._one(STREETS, said)}"
            return self._alike(said) if said.strip().isdigit() else street
        if span.kind == CONTACT and span.form == "email":
            return f"{self._one(NO_NAMES, said).lower()}.{self._number(said) % 10_000}@example.org"
        if span.kind == CONTACT and span.form == "url":
            return f"https://example.org/{self._number(said) % 10**8}"
        return self._one(TOWNS, said) if span.kind == ID and not any(c.isdigit() for c in said) else self._alike(said)

    def _name(self, word: str) -> str:
        if len(word) == 1:
            return "ABCDEFGHJKLMNPRSTW"[self._number(word) % 18]
        lists = names()
        part = "last" if word.lower() in self.known.last and word.lower() not in self.known.first else "first"
        chosen = self._one(lists[part], word)
        return chosen.upper() if word.isupper() else chosen.lower() if word.islower() else chosen

    def _one(self, among: tuple[str, ...], said: str) -> str:
        """One of several by the key; never the word itself."""
        at = self._number(said) % len(among)
        return among[at] if among[at].lower() != said.lower() else among[(at + 1) % len(among)]

    def _number(self, said: str) -> int:
        return int.from_bytes(hmac.new(self.key, said.strip().lower().encode(), sha256).digest()[:8], "big")

    def _alike(self, said: str) -> str:
        """The same shape in other digits and letters."""
        seed, made = hmac.new(self.key, said.lower().encode(), sha256).digest(), []
        for i, c in enumerate(said):
            n = seed[i % len(seed)] + i
            made.append(str(n % 10) if c.isdigit() else _letter(n, c) if c.isalpha() else c)
        whole = "".join(made)
        return whole if whole != said else self._alike(said + " ")[: len(said)]


def _letter(n: int, like: str) -> str:
    letter = "abcdefghijklmnopqrstuvwxyz"[n % 26]
    return letter.upper() if like.isupper() else letter


@lru_cache(maxsize=1)
def names() -> dict[str, tuple[str, ...]]:
    """Frequent names to choose from."""
    if not is_installed():
        return {"first": NO_NAMES, "last": NO_NAMES}
    first = [name for pair in zip(ranked("female")[:N_NAMES], ranked("male")[:N_NAMES], strict=True) for name in pair]
    return {"first": tuple(n.title() for n in first), "last": tuple(n.title() for n in ranked("last")[:N_NAMES])}


def moved(said: str, days: int) -> str | None:
    """A date moved by whole days, in the form in which it was written; None where it cannot be read."""
    if said in WEEKDAYS:
        return WEEKDAYS[(WEEKDAYS.index(said) + days) % 7]
    if re.fullmatch(r"(?:19|20)\d{2}", said):
        return str((date(int(said), 7, 1) + timedelta(days=days)).year)  # a year alone: its middle moves
    for form in NUMERIC_FORMS:
        day = _read(said, form)
        if day is not None:
            written = (day + timedelta(days=days)).strftime(form)
            is_padded = bool(re.search(r"\b0\d", said)) or len(written) == len(said)
            return written if is_padded else re.sub(r"\b0(\d)\b", r"\1", written)
    plain = re.sub(r"(?<=\d)(?:st|nd|rd|th)\b|\bof\b|[.,]", " ", said)
    for form in WORD_FORMS:
        day = _read(" ".join(plain.split()), form)
        if day is not None:
            return re.sub(r"\b0(\d)\b", r"\1", (day + timedelta(days=days)).strftime(form))
    return None


def _read(said: str, form: str) -> datetime | None:
    try:
        return datetime.strptime(said, form)
    except ValueError:
        return None
