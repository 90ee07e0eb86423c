"""Notes without identifiers by the engine of `recognise`: found and replaced on executors, a batch at a time."""

from __future__ import annotations

import re
from collections.abc import Iterable

import pandas as pd
from pyspark.sql import Column
from pyspark.sql import functions as F
from pyspark.sql.pandas.functions import pandas_udf

from medlake.grammar.errors import MissingExtraError
from medlake.privacy.dicom_values import vocabulary
from medlake.privacy.lexicon import is_installed, lexicon
from medlake.privacy.note_patterns import NAME
from medlake.privacy.recognise import Span, find
from medlake.privacy.surrogates import Writer

REWRITTEN = "text string, n_replaced int"
WORD = re.compile(r"[^\W\d_]{3,}")
KNOWN = ("names", "ids", "event_key", "shift_days")


def rewritten(text: Column, *, surrogates: bool) -> Column:
    """struct<text, n_replaced>: each note with a tag, or a surrogate, for whatever names somebody; null stays null.

    The rows carry what the restricted zone knows of the note's person: `names` and `ids` (array<string>, see
    `scrub_text.own_words`, null where nothing is known), `event_key` and `shift_days`.

    Raises:
        MissingExtraError: the dictionaries are not installed.
    """
    if not is_installed():
        raise MissingExtraError("notes", "The dictionary of names and words")

    def run(texts: pd.Series, names: pd.Series, ids: pd.Series, keys: pd.Series, days: pd.Series) -> pd.DataFrame:
        known = lexicon()
        made: list[tuple[str | None, int]] = []
        for said, mine, numbers, key, shift in zip(texts, names, ids, keys, days, strict=True):
            if said is None or pd.isna(shift):
                made.append((None, 0))
                continue
            spans = find(said, _told(mine), _told(numbers), known=known)
            write = Writer(str(key).encode(), int(shift), known).rewrite if surrogates else tagged
            made.append((write(said, spans), len(spans)))
        return pd.DataFrame(made, columns=["text", "n_replaced"]).astype({"n_replaced": "int32"})

    call = pandas_udf(run, REWRITTEN)  # type: ignore[call-overload]
    column: Column = call(text, *[F.col(c) for c in KNOWN])
    return column


def described(text: Column, allowed: frozenset[str]) -> Column:
    """Descriptions of images with a tag for whatever names somebody; null stays null.

    They are words in capitals without sentences: beside what `find` knows, each word goes that may be a name and is
    neither one of DICOM's terms nor one of `allowed`, of whoever it is the name. The rows carry `names` and `ids`.

    Raises:
        MissingExtraError: the dictionaries are not installed.
    """
    if not is_installed():
        raise MissingExtraError("notes", "The dictionary of names and words")

    def run(texts: pd.Series, names: pd.Series, ids: pd.Series) -> pd.Series:
        known, harmless = lexicon(), vocabulary() | allowed
        made: list[str | None] = []
        for said, mine, numbers in zip(texts, names, ids, strict=True):
            if said is None:
                made.append(None)
                continue
            spans = find(said, _told(mine), _told(numbers), known=known)
            spans += [
                Span(*word.span(), NAME, "dictionary")
                for word in WORD.finditer(said)
                if known.may_be_name(word[0]) and word[0].lower() not in harmless
                and not any(span.start < word.end() and word.start() < span.end for span in spans)
            ]  # fmt: skip
            made.append(tagged(said, spans))
        return pd.Series(made, dtype=object)

    column: Column = pandas_udf(run, "string")(text, *[F.col(c) for c in KNOWN[:2]])  # type: ignore[call-overload]
    return column


def tagged(text: str, spans: Iterable[Span]) -> str:
    """The text with the kind of each span in its place: [NAME], [DATE], …"""
    parts, at = [], 0
    for span in sorted(spans):
        parts += [text[at : span.start], f"[{span.kind.upper()}]"]
        at = span.end
    return "".join([*parts, text[at:]])


def _told(words: Iterable[str] | None) -> list[str]:
    return [] if words is None else [word for word in words if word]
