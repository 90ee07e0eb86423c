"""Values for a de-identified DICOM header: dummies valid for their representation, shifted dates, cleaned words."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import lru_cache
from typing import Any

from pydicom.datadict import DicomDictionary
from pydicom.uid import UID_dictionary

from medlake.privacy.pseudonym import pseudonym_for, uid_for
from medlake.privacy.shift_dates import OLDEST_AGE

TEXT_VRS = frozenset({"LO", "LT", "SH", "ST", "UC", "UT"})
BYTE_VRS = frozenset({"OB", "OD", "OF", "OL", "OV", "OW", "UN"})
REMOVED = "REMOVED"
DUMMIES: dict[str, Any] = {
    "AE": REMOVED, "AS": "000Y", "CS": REMOVED, "DA": "19000101", "DT": "19000101000000", "TM": "000000",
    "DS": "0", "IS": "0", "PN": REMOVED, "UR": "urn:removed", **dict.fromkeys(TEXT_VRS, REMOVED),
    **dict.fromkeys(("SL", "SS", "SV", "UL", "US", "UV"), 0), "FL": 0.0, "FD": 0.0, "AT": 0x00000000,
    **dict.fromkeys(BYTE_VRS, bytes(8)),
}  # fmt: skip
DAY = re.compile(r"((?:1[89]|2[0-9])\d\d)[.\-]?(0[1-9]|1[0-2])[.\-]?(0[1-9]|[12]\d|3[01])(.*)", re.DOTALL)
PARTIAL_DAY = re.compile(r"((?:1[89]|2[0-9])\d\d)(0[1-9]|1[0-2])?")
TIME_TAIL = re.compile(r"[\d.:+\-]*")  # of a DT behind its day; anything else is no time
TIME = re.compile(r"[\d.:\-]+")
OFFSET = re.compile(r"[+-]\d{4}")
AGE = re.compile(r"(\d{1,3})Y")
WORD = re.compile(r"[^\W_]+")
NUMBER = re.compile(r"\d{1,2}")  # a longer one may be a number of somebody


@dataclass(frozen=True)
class Person:
    """What stands for a person in the open zone, and the words by which the restricted zone knows him or her."""

    person_id: int
    event_key: str
    shift_days: int
    key: bytes = field(repr=False)
    words: tuple[str, ...] = field(default=(), repr=False)

    def uid(self, uid: str) -> str:
        """The UID that stands for this one, as in silver."""
        return uid_for(self.key, uid)

    def code(self, value: str) -> str:
        """16 hex digits that stand for an identifier of this person, as in silver."""
        return pseudonym_for(self.event_key, value)


def shifted_value(text: str, vr: str, days: int) -> str | None:
    """A DA or DT moved by whole days in its own precision, a TM as it is; None where it is no such value."""
    text = text.strip("\0 ")
    if vr == "TM":
        return text if TIME.fullmatch(text) else None
    full = DAY.fullmatch(text)
    partial = PARTIAL_DAY.fullmatch(text)
    if full is not None and (vr == "DT" or not full[4]) and TIME_TAIL.fullmatch(full[4]):
        day = _day(int(full[1]), int(full[2]), int(full[3]))
        return None if day is None else f"{day + timedelta(days=days):%Y%m%d}{full[4]}"
    if partial is not None and vr == "DT":  # a month or a year: its middle moves
        day = date(int(partial[1]), int(partial[2] or 7), 15) + timedelta(days=days)
        return f"{day:%Y%m}" if partial[2] else f"{day:%Y}"
    return None


def _day(year: int, month: int, day: int) -> date | None:
    try:
        return date(year, month, day)
    except ValueError:
        return None


def capped_age(text: str) -> str:
    """Nobody looks older than 90."""
    found = AGE.fullmatch(text.strip("\0 "))
    return f"{OLDEST_AGE:03}Y" if found and int(found[1]) >= OLDEST_AGE else text


def is_class(uid: str) -> bool:
    """A UID that the standard registers names no person and no object."""
    return uid in UID_dictionary


def cleaned(text: str, allowed: frozenset[str], denied: frozenset[str]) -> str:
    """Only words that are known to be harmless, and numbers of at most two digits; the person's own never."""

    def keep(word: re.Match[str]) -> str:
        low = word[0].lower()
        harmless = low not in denied and (NUMBER.fullmatch(low) or low in allowed or low in vocabulary())
        return word[0] if harmless else ""

    kept = re.sub(r"\(\W*\)|\[\W*\]", " ", WORD.sub(keep, text))
    whole = re.sub(r"\s+(?:[^\w\s(]+\s+)*", " ", f" {kept} ")
    return whole.strip(" _-.,;:/^")


@lru_cache(maxsize=1)
def vocabulary() -> frozenset[str]:
    """The words of DICOM's own terms: the names of attributes (PS3.6) and the meanings of codes (PS3.16)."""
    from pydicom.sr._concepts_dict import concepts

    told = [entry[2] for entry in DicomDictionary.values()]
    for scheme in concepts.values():
        for keyword, meanings in scheme.items():
            told.append(re.sub(r"(?<=[a-z])(?=[A-Z])", " ", keyword))
            told += [said[0] for said in meanings.values()]
    return frozenset(word.lower() for text in told for word in re.findall(r"[A-Za-z]{2,}", text))


def own_pattern(words: frozenset[str]) -> Callable[[str], str]:
    """A function that takes words out of a text, as whole words in any case."""
    known = sorted((w for w in words if len(w) >= 3), key=lambda w: (-len(w), w))
    if not known:
        return lambda text: text
    either = "|".join(re.escape(word) for word in known)
    pattern = re.compile(rf"(?<![^\W_])(?:{either})(?![^\W_])", re.IGNORECASE)
    return lambda text: pattern.sub("", text)
