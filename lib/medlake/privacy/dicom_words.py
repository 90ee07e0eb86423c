"""The words by which a DICOM object names its patient and others, and elements read with care."""

from __future__ import annotations

import re
from collections.abc import Iterator

from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.tag import BaseTag

PIXELS = frozenset({0x7FE00008, 0x7FE00009, 0x7FE00010})
# What identifies the patient by itself; its words may stand nowhere in what is kept.
PATIENT_GROUP, BIRTH_DATE = 0x0010, 0x00100030
OWN_IDS = frozenset({
    0x00080050, 0x00100020, BIRTH_DATE, 0x00101000, 0x00101001, 0x00101005, 0x00101040, 0x00101060, 0x00102154,
    0x00380010, 0x00380060, 0x00401001, 0x00402016, 0x00402017,
})  # fmt: skip
SHORTEST_ID = 5
NUMBERS = ("DS", "IS")


def own_words(dataset: Dataset) -> Iterator[str]:
    """The names, numbers and addresses by which an object names its patient and others."""
    for element in _every(dataset):
        values = list(element.value) if element.VM > 1 else [element.value]
        if element.VR == "PN":
            least = 3 if element.tag.group == PATIENT_GROUP else 4  # RIS and MRI stand in other people's names
            for name in values:
                yield from (part for part in re.split(r"[\^=\s,.'’\-]+", str(name)) if len(part) >= least)
        elif element.tag in OWN_IDS and element.VR != "SQ":
            yield from (str(v).strip() for v in values if len(str(v).strip()) >= SHORTEST_ID)
            if element.tag == BIRTH_DATE:
                yield from birth_forms(str(element.value))


def telling_parts(word: str) -> list[str]:
    """A name whole; of a number with words around it ("CT 4711") what holds a digit."""
    parts = re.findall(r"[^\W_]+", word)
    return parts if len(parts) == 1 else [part for part in parts if any(c.isdigit() for c in part)]


def birth_forms(text: str) -> Iterator[str]:
    """A day of birth as people write it into texts."""
    if re.fullmatch(r"\d{8}", text):
        year, month, day = text[:4], text[4:6], text[6:]
        yield from (f"{year}-{month}-{day}", f"{month}/{day}/{year}", f"{day}.{month}.{year}", f"{day}/{month}/{year}")


def _every(dataset: Dataset) -> Iterator[DataElement]:
    """Every readable element at every depth."""
    for tag in dataset.keys():  # noqa: SIM118 - a data set iterates over its elements and would read them
        element = read(dataset, tag)
        if element is None or tag in PIXELS:
            continue
        if element.VR == "SQ":
            for item in element.value or ():
                yield from _every(item)
        elif element.value is not None:
            yield element


def read(dataset: Dataset, tag: BaseTag) -> DataElement | None:
    """An element, or None where its value is none of its representation."""
    try:
        element = dataset[tag]
        if element.VR in NUMBERS and not element.is_empty:
            DataElement(tag, element.VR, element.value)  # a text that is no number is taken as it is when read
    except Exception:  # pydicom's parsers raise whatever they like; what cannot be read does not pass
        return None
    return element


