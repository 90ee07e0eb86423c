"""Where a free text names somebody: names, dates, contacts, ids, addresses, places, ages, as spans of characters.

The patient's own record comes first, then looks (patterns), then words beside them (contexts), then dictionaries:
a capitalised word that neither English nor medicine knows is taken for a name. Text in, spans out; no Spark.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

from medlake.privacy.lexicon import Lexicon
from medlake.privacy.note_patterns import (
    ADDRESS,
    ADDRESSES,
    CODE,
    CONTACT,
    CONTEXTS,
    DATE,
    DATES_BY_CONTEXT,
    HEAD,
    ID,
    LONG_NUMBER,
    NAME,
    PATTERNS,
    PHONE,
    PHONE_WORDS,
    PLACE,
    PREPOSITIONS,
    SENTENCE_END,
    STREET_WORD,
    STREET_WORDS,
    TAIL,
    TOKEN,
)


class Span(NamedTuple):
    """Characters start ≤ i < end of one kind; `form` says which pattern found them."""

    start: int
    end: int
    kind: str
    form: str = ""


def find(text: str, names: Iterable[str] = (), ids: Iterable[str] = (), *, known: Lexicon) -> list[Span]:
    """Spans in order, none overlapping. `names`, `ids`: the patient's own words from the record."""
    taken = [False] * len(text)
    if text.islower() and len(text.title()) == len(text):
        text = text.title()  # a text without capitals is read as if each word had one, and no word taken for a name
        known = replace(known, first=known.first - known.ambiguous)
    spans: list[Span] = []

    def take(start: int, end: int, kind: str, form: str) -> None:
        while start < end and not text[start].isalnum() and text[start] not in "+(":
            start += 1
        while end > start and not text[end - 1].isalnum() and text[end - 1] != ")":
            end -= 1
        if start < end and not any(taken[start:end]):
            spans.append(Span(start, end, kind, form))
            taken[start:end] = [True] * (end - start)

    for start, end in _own(text, ids):
        take(start, end, ID, "own")
    for kind, form, pattern in PATTERNS:
        for found in re.finditer(pattern, text):
            start, end = found.span("it") if "it" in found.re.groupindex else found.span()
            take(start, end, kind, form)
    for whole in _addresses(text, known):
        for start, end in _free(taken, *whole):
            take(start, end, ADDRESS, "address")
    for found in PHONE.finditer(text):
        if _is_phone(text, found):
            take(*found.span(), CONTACT, "phone")
    for form, pattern in DATES_BY_CONTEXT:
        for found in re.finditer(pattern, text):
            take(*found.span(), DATE, form)
    for found in LONG_NUMBER.finditer(text):
        take(*found.span(), ID, "number")
    for start, end in _own(text, names):
        take(start, end, NAME, "own")
    for pattern in CONTEXTS:
        for found in re.finditer(pattern, text):
            take(*_trimmed(text, *found.span("it"), known), NAME, "context")
    for start, end, kind in _unknown(text, taken, known):
        take(start, end, kind, "dictionary")
        if kind == PLACE and (code := CODE.match(text, end)):
            take(*code.span(), ADDRESS, "code")
    return sorted(spans)


def _addresses(text: str, known: Lexicon) -> list[tuple[int, int]]:
    """Addresses whole: what looks like a part of one, with its number before, town behind, and parts side by side."""
    parts = []
    for _, form, pattern in ADDRESSES:
        for found in re.finditer(pattern, text):
            start, end = found.span("it") if "it" in found.re.groupindex else found.span()
            words = TOKEN.findall(text[start:end])
            is_plain = all(known.is_word(w) and w.lower() not in STREET_WORDS for w in words)
            if form in ("told", "line", "numbered", "crossing", "quay") and is_plain:
                continue
            if form == "quay" and any(w.islower() and w in known.familiar for w in words):
                continue
            head = HEAD.search(text, max(0, start - 80), start)
            if head is not None and form != "box" and not all(known.is_word(w) for w in TOKEN.findall(head[0])):
                start = head.start()
            else:
                number = re.search(r"\b(?:\d{1,6}\s+){1,2}$", text[max(0, start - 16) : start])
                start -= len(number[0]) if number is not None else 0
            parts.append((start, _with_tail(text, end, known)))
    whole: list[tuple[int, int]] = []
    for start, end in sorted(parts):
        if whole and (start <= whole[-1][1] or not re.search(r"\w", text[whole[-1][1] : start])):
            whole[-1] = whole[-1][0], max(end, whole[-1][1])
        else:
            whole.append((start, end))
    return whole


def _free(taken: Sequence[bool], start: int, end: int) -> list[tuple[int, int]]:
    """The pieces of a stretch that nothing else has taken."""
    pieces, at = [], start
    for i in range(start, end + 1):
        if i == end or taken[i]:
            if i > at:
                pieces.append((at, i))
            at = i + 1
    return pieces


def _own(text: str, words: Iterable[str]) -> Iterator[tuple[int, int]]:
    """The patient's own words, longest first; short ones in their own case or in capitals only."""
    own = {w.strip() for w in words if w and len(w.strip()) >= 2}
    wanted = sorted(own | {w.upper() for w in own if len(w) < 3}, key=lambda w: (-len(w), w))
    if not wanted:
        return
    parts = [r"\s+".join(re.escape(p) for p in w.split()) for w in wanted]
    either = "|".join(part if len(w) < 3 else f"(?i:{part})" for part, w in zip(parts, wanted, strict=True))
    yield from (found.span() for found in re.finditer(rf"(?<![^\W_])(?:{either})(?![^\W_])", text))


def _with_tail(text: str, end: int, known: Lexicon) -> int:
    """An address goes on over its town, state, code and country: capitalised words no sentence begins with, numbers."""
    for _ in range(10):
        more = TAIL.match(text, end)
        if more is None:
            break
        word = TOKEN.search(more[0])
        is_known = word is not None and word[0].istitle() and word[0].lower() in known.familiar
        if is_known and text[end - 1] in ".?!" and "\n" not in more[0] and not re.search(STREET_WORD, more[0]):
            break
        end = more.end()
    return end


def _is_phone(text: str, found: re.Match[str]) -> bool:
    number = re.sub(r"\s?(?:x|ext\.?)\s?\d+$", "", found[0])
    digits = sum(c.isdigit() for c in number)
    if not 7 <= digits <= 15:
        return False
    groups = re.findall(r"\d+", number)
    if "/" in number or re.fullmatch(r"\d+\.\d+", number):
        return bool(PHONE_WORDS.search(text[max(0, found.start() - 16) : found.start()])) and number.count("/") < 2
    looks = number.startswith(("+", "0", "(")) or bool(re.search(r"\d[-.]\d", number)) or len(groups[-1]) >= 4
    return looks or bool(PHONE_WORDS.search(text[max(0, found.start() - 16) : found.start()])) or len(groups) == 1


def _trimmed(text: str, start: int, end: int, known: Lexicon) -> tuple[int, int]:
    """A name by its context, without the words behind it that are no names."""
    words = list(TOKEN.finditer(text, start, end))
    while len(words) > 1 and words[-1][0].lower() in known.familiar and not known.may_be_name(words[-1][0]):
        words.pop()
    if not words or (words[0][0].lower() in known.familiar and not words[0][0].istitle()):
        return start, start
    is_plain = words[0][0].lower() in known.familiar and not known.may_be_name(words[0][0])
    return (start, start) if is_plain and len(words) == 1 else (words[0].start(), words[-1].end())


def _unknown(text: str, taken: Sequence[bool], known: Lexicon) -> Iterator[tuple[int, int, str]]:
    """Runs of capitalised words with a known name, or a word that neither English nor medicine knows."""
    run: list[re.Match[str]] = []
    for token in [*TOKEN.finditer(text), None]:
        fits = token is not None and not taken[token.start()] and _may_name(text, token, known)
        behind = token is not None and run and re.fullmatch(r"[ ]|\. ", text[run[-1].end() : token.start()])
        if token is not None and behind and not fits and not taken[token.start()] and token[0].istitle():
            fits = _is_telling(text, run[-1], known) or len(run[-1][0]) == 1
            is_rare = known.may_be_name(token[0]) or token[0].lower() not in known.familiar
            fits = fits and len(token[0]) > 2 and is_rare
        if fits and token is not None and behind:
            run.append(token)
            continue
        if run and any(_is_telling(text, t, known) for t in run):
            before = text[max(0, run[0].start() - 12) : run[0].start()]
            place = PREPOSITIONS.search(before) is not None and not any(known.is_name(t[0]) for t in run)
            yield run[0].start(), run[-1].end(), PLACE if place else NAME
        run = [token] if fits and token is not None else []


def _may_name(text: str, token: re.Match[str], known: Lexicon) -> bool:
    word = token[0]
    if not word[0].isupper():
        return False
    if len(word) == 1:
        return text[token.end() : token.end() + 1] == "." or text[token.end() : token.end() + 2].strip().isupper()
    is_short_code = word.isupper() and len(word) <= 4
    return not is_short_code and (known.is_name(word) or not known.is_word(word) or _is_first(text, token, known))


def _is_telling(text: str, token: re.Match[str], known: Lexicon) -> bool:
    word = token[0]
    if len(word) == 1 or (word.isupper() and len(word) <= 4):
        return False
    return known.is_name(word) or not known.is_word(word) or _is_first(text, token, known)


def _is_first(text: str, token: re.Match[str], known: Lexicon) -> bool:
    """A first name that is a word too (Mark, Frank), where no sentence begins."""
    inside = SENTENCE_END.search(text[max(0, token.start() - 4) : token.start()]) is None
    return inside and token[0].istitle() and token[0].lower() in known.first
