"""Dictionaries for free text from packages of the registries: first and family names, common words (extra `notes`).

Names are those of the US census as the package `names` (MIT) holds them, the frequency of English words is
pyspellchecker's (MIT); words of medicine are DICOM's own terms. Without the extra only
patterns, contexts and the patient's own record serve.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources, util

from medlake.privacy.dicom_values import vocabulary

COMMON = 20  # occurrences in pyspellchecker's corpus from which on a word is taken for English
USUAL = 500  # a first name that is rarer than this many others is a word first, if it is one
FAMILIAR = 2_000  # from here on a name is a word first (Will, May, Young)


@dataclass(frozen=True)
class Lexicon:
    """What is known of words, all in lower case."""

    first: frozenset[str]
    last: frozenset[str]
    common: frozenset[str]
    familiar: frozenset[str]
    ambiguous: frozenset[str]  # names that are words too: Will, May, Young

    def is_name(self, word: str) -> bool:
        """A name and no word beside."""
        low = word.lower()
        return (low in self.first or low in self.last) and low not in self.ambiguous

    def may_be_name(self, word: str) -> bool:
        """A name, maybe a word beside."""
        return word.lower() in self.first or word.lower() in self.last

    def is_word(self, word: str) -> bool:
        """A word of English or of medicine, in any of its plain forms."""
        low = word.lower()
        if parts := [part for part in re.split(r"['’-]", low) if len(part) > 1 and part != low]:
            return all(self.is_word(part) for part in parts)
        forms = {low, low.removesuffix("s"), low.removesuffix("es"), low.removesuffix("ed"), low.removesuffix("ing")}
        return not forms.isdisjoint(self.common)


def is_installed() -> bool:
    """Whether the extra `notes` is there."""
    return util.find_spec("names") is not None and util.find_spec("spellchecker") is not None


@lru_cache(maxsize=1)
def lexicon() -> Lexicon:
    """The dictionaries, once per process."""
    medical = vocabulary()
    none: frozenset[str] = frozenset()
    if not is_installed():
        return Lexicon(none, none, medical, none, none)
    from spellchecker import SpellChecker

    counts = SpellChecker(language="en").word_frequency.dictionary
    first, last = frozenset(ranked("female") + ranked("male")), frozenset(ranked("last"))
    familiar = frozenset(w for w, n in counts.items() if n >= FAMILIAR)
    usual = frozenset(ranked("female")[:USUAL] + ranked("male")[:USUAL])
    ambiguous = frozenset(w for w in first if w in familiar and (w not in usual or _is_inflected(w, counts)))
    ambiguous |= frozenset(w for w in last - first if w in familiar or w in medical)
    sure = (first | last) - ambiguous
    common = frozenset(w for w, n in counts.items() if n >= COMMON) - sure
    return Lexicon(first, last, (common | medical) - (sure & first), familiar, ambiguous)


def ranked(part: str) -> list[str]:
    """Names of the US census of 1990 in lower case, the most frequent first; `part`: female, male or last."""
    name = {"female": "dist.female.first", "male": "dist.male.first", "last": "dist.all.last"}[part]
    lines = resources.files("names").joinpath(name).read_text(encoding="ascii").splitlines()
    return [line.split()[0].lower() for line in lines if line.strip()]


def _is_inflected(word: str, counts: Mapping[str, int]) -> bool:
    """Whether English forms other words from it, as it does from words and not from names."""
    stem = word.removesuffix("e")
    forms = (f"{stem}ed", f"{stem}ing", f"{word}{word[-1]}ed", f"{stem}er", f"{word}ly", f"{word}ness", f"{word}less")
    return any(counts.get(form, 0) >= COMMON for form in forms)
