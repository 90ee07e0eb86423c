"""The values of DICOM elements as PS3.18 JSON, straight from their bytes, where they need no second look.

pydicom makes an object of every element; a header of a hundred costs it milliseconds. Most values are
ASCII text and plain numbers: these are told here, exactly as pydicom's `to_json_dict` tells them. Whatever
is not plain (other letters, numbers out of form, unclear types) is left to pydicom itself. Short values are
remembered: the slices of a series say the same words again and again.
Source: DICOM PS3.5 chapter 6.2, PS3.18 annex F; tests/spec/dicom/test_dicom_values.py compares both.
"""

from __future__ import annotations

import json
import math
import re
from base64 import b64encode
from collections.abc import Callable, Mapping
from functools import lru_cache
from struct import calcsize, unpack

from pydicom.datadict import private_dictionary_VR

from medlake.sources.dicom_element import Element, dictionary_vr
from medlake.sources.dicom_stream import MAX_BULK_BYTES, PIXEL_TAGS, WHOLE

Header = dict[str, str]  # tag (eight hex digits) → JSON text of its element: {"Value" or "InlineBinary", "vr"}
Levels = tuple[list[Element], ...]  # the elements of an item and of what it lies in, innermost first
Read = Callable[[int, int], bytes]
CHARACTER_SET, PIXEL_REPRESENTATION = 0x00080005, 0x00280103
LUT_DESCRIPTORS = frozenset({0x00281101, 0x00281102, 0x00281103, 0x00283002})
# Unsigned or signed as Pixel Representation says: smallest and largest values, padding (PS3.6).
OF_PIXELS = frozenset({*range(0x00280106, 0x0028010A), 0x00280110, 0x00280111, 0x00280120, 0x00280121})
ASCII_SETS = ("ISO_IR ", "ISO 2022 IR ", "GB")  # character sets in which an ASCII byte is that letter
PADDING = " \0"
SHORT_BYTES, N_SHORT = 64, 16 * 1024  # values that are remembered, at most 10 MB
_INTEGER, _DECIMAL = r" *[+-]?\d{1,15} *", r" *[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)? *"
INTEGERS = re.compile(rf"{_INTEGER}(?:\\{_INTEGER})*", re.ASCII)
DECIMALS = re.compile(rf"{_DECIMAL}(?:\\{_DECIMAL})*", re.ASCII)
_quoted = json.encoder.encode_basestring_ascii


class NotPlainError(Exception):
    """The value needs pydicom's eyes."""


def plain_header(elements: list[Element], read: Read, *, little: bool) -> tuple[Header, list[Element]]:
    """The elements that are plain as JSON, and those that are not. `read`: (place, length) → bytes.

    Raises:
        NotPlainError: the character set is unknown, so that no text is plain.
    """
    odd: list[Element] = []
    return _level((elements,), read, little, odd), odd


def as_text(header: Header) -> str:
    """The header as JSON text with sorted keys: the same object always gives the same text."""
    return "{" + ",".join([f'"{tag}":{header[tag]}' for tag in sorted(header)]) + "}"


def _level(levels: Levels, read: Read, little: bool, odd: list[Element] | None) -> Header:
    """The innermost level; elements that are not plain go to `odd`, where they have a place to go."""
    told: Header = {}
    creators: dict[int, bytes] = {}
    for element in levels[0]:
        tag, vr, _, at, end, _, items = element
        if tag in PIXEL_TAGS:
            continue
        try:
            if vr == "SQ":
                told[_key(tag)] = _sequence(items, levels, read, little)
                continue
            if end - at > MAX_BULK_BYTES and tag not in WHOLE:
                told[_key(tag)] = f'{{"vr":"{vr.rpartition(" ")[2]}"}}'
                continue
            if vr == "UN" or vr not in PLAIN:
                vr = _clear_vr(tag, vr, creators, levels, read, little)
            if vr == "SS" and tag in LUT_DESCRIPTORS:
                raise NotPlainError
            raw = read(at, end - at)
            told[_key(tag)] = _short(vr, raw, little) if end - at <= SHORT_BYTES else PLAIN[vr](vr, raw, little)
        except NotPlainError:
            if odd is None:
                raise
            odd.append(element)
            continue
        if tag == CHARACTER_SET:
            _check_set(raw)
        elif tag & 0x10000 and 0x10 <= tag & 0xFFFF <= 0xFF:
            creators[tag] = raw
    return told


@lru_cache(maxsize=8192)
def _key(tag: int) -> str:
    return f"{tag:08X}"


@lru_cache(maxsize=N_SHORT)
def _short(vr: str, raw: bytes, little: bool) -> str:
    return PLAIN[vr](vr, raw, little)


def _check_set(raw: bytes) -> None:
    names = [name.strip() for name in raw.decode("latin-1").rstrip(PADDING).split("\\")]
    if not all(not name or name.startswith(ASCII_SETS) for name in names):
        raise NotPlainError


def _sequence(items: tuple[list[Element], ...] | None, levels: Levels, read: Read, little: bool) -> str:
    if items is None:
        raise NotPlainError
    told = ",".join([as_text(_level((item, *levels), read, little, None)) for item in items])
    return f'{{"Value":[{told}],"vr":"SQ"}}'


def _clear_vr(
    tag: int, vr: str, creators: Mapping[int, bytes], levels: Levels, read: Read, little: bool
) -> str:
    """What an unknown or unclear type is."""
    if vr == "US or SS" and tag in OF_PIXELS:
        return _pixel_vr(levels, read, little)
    if vr != "UN":
        raise NotPlainError
    number = tag & 0xFFFF
    if not tag & 0x10000:
        found = dictionary_vr(tag) if number else "UN"
    elif 0x10 <= number <= 0xFF:
        found = "LO"
    elif number < 0x10:
        found = "UN"
    else:
        creator = creators.get(tag & 0xFFFF0000 | number >> 8)
        if creator is None:  # absent, odd or still to come
            raise NotPlainError
        found = _private_vr(tag, creator.decode("latin-1").rstrip(PADDING))
    if found not in PLAIN:
        raise NotPlainError
    return found


def _pixel_vr(levels: Levels, read: Read, little: bool) -> str:
    """The type of values that are typed as the pixels are: the nearest level that says it decides."""
    for level in levels:
        for tag, _, _, at, end, _, _ in level:
            if tag == PIXEL_REPRESENTATION:
                signed = int.from_bytes(read(at, end - at), "little" if little else "big")
                if end - at != 2 or signed > 1:
                    raise NotPlainError
                return "SS" if signed else "US"
    if len(levels) > 1:
        raise NotPlainError
    return "US"


@lru_cache(maxsize=8192)
def _private_vr(tag: int, creator: str) -> str:
    try:
        return str(private_dictionary_VR(tag, creator))
    except KeyError:
        return "UN"


def _of(vr: str, texts: list[str]) -> str:
    """An element and its texts; one empty text is no value."""
    return f'{{"vr":"{vr}"}}' if texts == [""] else f'{{"Value":[{",".join(map(_quoted, texts))}],"vr":"{vr}"}}'


def _codes(vr: str, raw: bytes, little: bool) -> str:
    return _of(vr, raw.decode("latin-1").rstrip(PADDING).split("\\"))


def _titles(vr: str, raw: bytes, little: bool) -> str:
    return _of(vr, [text.strip() for text in raw.decode("latin-1").split("\\")])


def _uids(vr: str, raw: bytes, little: bool) -> str:
    return _of(vr, [text.strip() for text in raw.decode("latin-1").rstrip(PADDING).split("\\")])


def _letters(raw: bytes) -> str:
    """Text that reads alike in every character set of DICOM: ASCII without a change of the set."""
    if not raw.isascii() or b"\x1b" in raw:
        raise NotPlainError
    return raw.decode("ascii")


def _texts(vr: str, raw: bytes, little: bool) -> str:
    return _of(vr, [text.rstrip(PADDING) for text in _letters(raw).split("\\")])


def _text(vr: str, raw: bytes, little: bool) -> str:
    return _of(vr, [_letters(raw).rstrip(PADDING)])


def _address(vr: str, raw: bytes, little: bool) -> str:
    return _of(vr, [raw.decode("latin-1").rstrip()])


def _names(vr: str, raw: bytes, little: bool) -> str:
    names = _letters(raw).rstrip(PADDING).split("\\")
    if names == [""]:
        return _of(vr, names)
    if b"=" in raw or "" in names:
        raise NotPlainError
    told = ",".join([f'{{"Alphabetic":{_quoted(name)}}}' for name in names])
    return f'{{"Value":[{told}],"vr":"{vr}"}}'


def _numbers(vr: str, numbers: list[str]) -> str:
    return f'{{"Value":[{",".join(numbers)}],"vr":"{vr}"}}'


def _integers(vr: str, raw: bytes, little: bool) -> str:
    text = raw.decode("latin-1").rstrip(PADDING)
    if not raw:
        return _of(vr, [""])
    if not INTEGERS.fullmatch(text):
        raise NotPlainError
    return _numbers(vr, [str(int(number)) for number in text.split("\\")])


def _decimals(vr: str, raw: bytes, little: bool) -> str:
    text = raw.decode("latin-1").rstrip(PADDING)
    if not raw:
        return _of(vr, [""])
    if not DECIMALS.fullmatch(text):
        raise NotPlainError
    return _floats(vr, [float(number) for number in text.split("\\")])


def _floats(vr: str, numbers: list[float]) -> str:
    if not all(map(math.isfinite, numbers)):
        raise NotPlainError
    return _numbers(vr, list(map(repr, numbers)))


def _tags(vr: str, raw: bytes, little: bool) -> str:
    if not raw:
        return _of(vr, [""])
    if len(raw) % 4:
        raise NotPlainError
    parts = unpack(f"{'<' if little else '>'}{len(raw) // 2}H", raw)
    pairs = zip(parts[::2], parts[1::2], strict=True)
    return _of(vr, [f"{group << 16 | number:08X}" for group, number in pairs])


def _bytes(vr: str, raw: bytes, little: bool) -> str:
    return f'{{"InlineBinary":"{b64encode(raw).decode("ascii")}","vr":"{vr}"}}' if raw else _of(vr, [""])


def _binary(form: str) -> Callable[[str, bytes, bool], str]:
    """Numbers in a form of `struct`; a length that is no multiple of theirs is for pydicom to judge."""
    size = calcsize(f"<{form}")

    def numbers(vr: str, raw: bytes, little: bool) -> str:
        if not raw:
            return _of(vr, [""])
        n_values, rest = divmod(len(raw), size)
        if rest:
            raise NotPlainError
        values = unpack(f"{'<' if little else '>'}{n_values}{form}", raw)
        return _floats(vr, list(values)) if form in "fd" else _numbers(vr, list(map(str, values)))

    return numbers


PLAIN: dict[str, Callable[[str, bytes, bool], str]] = {
    "AE": _titles, "AS": _codes, "AT": _tags, "CS": _codes, "DA": _codes, "DS": _decimals, "DT": _codes,
    "FD": _binary("d"), "FL": _binary("f"), "IS": _integers, "LO": _texts, "LT": _text, "OB": _bytes, "OD": _bytes,
    "OF": _bytes, "OL": _bytes, "OV": _bytes, "OW": _bytes, "PN": _names, "SH": _texts, "SL": _binary("l"),
    "SS": _binary("h"), "ST": _text, "SV": _binary("q"), "TM": _codes, "UC": _texts, "UI": _uids, "UL": _binary("L"),
    "UN": _bytes, "UR": _address, "US": _binary("H"), "UT": _text, "UV": _binary("Q"),
}  # fmt: skip
