"""One element of a DICOM stream, where it stands and how it is written. Source: DICOM PS3.5 chapter 7."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

from pydicom.datadict import dictionary_VR

GROUP_LENGTH_MASK = 0x1FFFF  # no bit of it is set in the tag of a group length: element 0, group not private


class Coding(NamedTuple):
    """How elements are written: with or without value representation, in which byte order."""

    implicit: bool
    little: bool


class Element(NamedTuple):
    """One element: bytes `start` to `end` of the data set; `fragments` is -1 for native values.

    `items`: the elements of each item of a sequence; None for other elements, and for a sequence that only its
    missing length betrays.
    """

    tag: int
    vr: str
    start: int
    value: int
    end: int
    fragments: int
    items: tuple[list[Element], ...] | None = None


@lru_cache(maxsize=8192)
def dictionary_vr(tag: int) -> str:
    """The value representation that the dictionary (PS3.6) gives to a tag; UN where it has none."""
    try:
        return str(dictionary_VR(tag))
    except KeyError:
        return "UN" if tag & GROUP_LENGTH_MASK else "UL"
