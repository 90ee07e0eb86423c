"""Looking things up in a DICOM header as a PS3.18 JSON model: what is not there, or of another shape, is None or empty.

Used where the shape of a header is not known beforehand (content trees, sequences within sequences), so that no
fixed schema can read it; everything else is read by Spark's own JSON parser.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

Item = dict[str, Any]

CODE, LONG_CODE, URN_CODE, SCHEME, MEANING = "00080100", "00080119", "00080120", "00080102", "00080104"
# Coding scheme designators (PS3.16 table 8-1) → OMOP's names where it has one
VOCABULARIES = {
    "SCT": "SNOMED", "SRT": "SRT", "SNM3": "SRT", "99SDM": "SRT", "DCM": "DCM", "LN": "LOINC", "UCUM": "UCUM",
    "RADLEX": "RadLex", "FMA": "FMA", "NCIT": "NCIt", "UMLS": "UMLS", "I10": "ICD10", "RXNORM": "RxNorm", "MDC": "MDC",
}  # fmt: skip
OWN_SCHEME = re.compile(r"[A-Z0-9_.-]{1,16}")
OWN_CODE = re.compile(r"[A-Za-z0-9._^/-]{1,64}")
UID = re.compile(r"[0-9.]{1,64}")


class Code(NamedTuple):
    """A coded term; a code of a maker's own scheme is kept only where it holds a digit, for it may be a word."""

    code: str | None = None
    vocabulary: str | None = None
    name: str | None = None


def items(holder: Item, tag: str) -> list[Item]:
    """The items of a sequence."""
    values = _values(holder, tag)
    return [value for value in values if isinstance(value, dict)]


def item(holder: Item, tag: str) -> Item:
    """The first item of a sequence; an empty one where there is none."""
    found = items(holder, tag)
    return found[0] if found else {}


def texts(holder: Item, tag: str) -> list[str]:
    """The values of an element as text, without blanks around them; empty ones are left out."""
    values = [str(v).strip(" \0") for v in _values(holder, tag) if v is not None and not isinstance(v, dict)]
    return [value for value in values if value]


def text(holder: Item, tag: str) -> str | None:
    """The first value of an element as text."""
    found = texts(holder, tag)
    return found[0] if found else None


def numbers(holder: Item, tag: str) -> list[float] | None:
    """All values of an element as finite numbers; None where one is none, or there are none."""
    found = [number_of(value) for value in texts(holder, tag)]
    return [n for n in found if n is not None] if found and None not in found else None


def number_of(said: str | None) -> float | None:
    """A finite number, or None."""
    try:
        found = float(said) if said is not None else math.nan
    except ValueError:
        return None
    return found if math.isfinite(found) else None


def uids(holder: Item, tag: str) -> list[str]:
    """The values of an element that are UIDs."""
    return [value for value in texts(holder, tag) if UID.fullmatch(value)]


def code(holder: Item, tag: str) -> Code:
    """The first coded term of a code sequence."""
    term = item(holder, tag)
    said = text(term, CODE) or text(term, LONG_CODE) or text(term, URN_CODE)
    scheme = (text(term, SCHEME) or "").upper()
    vocabulary = VOCABULARIES.get(scheme) or (scheme if OWN_SCHEME.fullmatch(scheme) else None)
    is_known = scheme in VOCABULARIES
    is_term = said is not None and (is_known or (OWN_CODE.fullmatch(said) and re.search(r"\d", said)))
    return Code(said if is_term else None, vocabulary if said else None, text(term, MEANING))


def below(holder: Item, *tags: str) -> Iterator[Item]:
    """Every item at the end of a path of sequences."""
    if not tags:
        yield holder
        return
    for inner in items(holder, tags[0]):
        yield from below(inner, *tags[1:])


def _values(holder: Item, tag: str) -> list[Any]:
    element = holder.get(tag)
    values = element.get("Value") if isinstance(element, dict) else None
    return values if isinstance(values, list) else []
