"""One DICOM object without identity: the profile's action for every attribute, at every depth.

Private attributes go unless they are known to be safe, repeating groups go whole, UIDs are replaced alike
wherever they stand, dates move by the person's shift. What remains as text is searched for the person's own
words once more. Pixels are not looked at here (see imaging/).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from pydicom import config
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.tag import Tag
from pydicom.uid import ExplicitVRLittleEndian

from medlake.privacy.dicom_profile import BASIC_CODE, CLASS_WORDS, OPTION_CODES, Action, Profile
from medlake.privacy.dicom_values import (
    BYTE_VRS,
    DUMMIES,
    OFFSET,
    TEXT_VRS,
    Person,
    capped_age,
    cleaned,
    is_class,
    own_pattern,
    shifted_value,
)
from medlake.privacy.dicom_words import PIXELS, SHORTEST_ID, own_words, read, telling_parts

IMPLEMENTATION_UID = "2.25.101870347063029170853219637465411391977"  # medlake's own, made once from a UUID
IMPLEMENTATION_NAME = "MEDLAKE"
META_GROUPS = frozenset({0x0000, 0x0002})  # commands and file meta: no part of a data set
WritingTest = Callable[[bytes, int, int], bool]


class _Work:
    """One object in hand: the profile, the person, and the words that may not remain."""

    def __init__(self, dataset: Dataset, profile: Profile, person: Person, is_writing: WritingTest | None) -> None:
        self.profile, self.person, self.is_writing = profile, person, is_writing
        self.sop_class = str(dataset.get("SOPClassUID") or "")
        own = frozenset(word.lower() for word in (*person.words, *own_words(dataset)))
        self.without_own = own_pattern(own)
        self.denied = frozenset(part for word in own for part in telling_parts(word))


def deidentified(
    dataset: FileDataset, profile: Profile, person: Person, *, is_writing: WritingTest | None = None
) -> FileDataset:
    """A new object for the open zone; the one given is not changed.

    Accession numbers, patient id and name become the pseudonyms of silver. `is_writing` says of an overlay (packed
    bits, rows, columns) whether it shows text; without it overlays go even where graphics are to be cleaned.
    """
    with lenient():
        made = without_identity(dataset, profile, person, is_writing=is_writing)
        for tag in [t for t in made.keys() if t.group in META_GROUPS]:  # noqa: SIM118
            del made[tag]
        _name(dataset, made, person)
        _tell(made, profile)
        made.SpecificCharacterSet = "ISO_IR 192"  # texts were decoded; they are written as UTF-8
        return FileDataset("", made, preamble=bytes(128), file_meta=_meta(dataset, made))


def without_identity(
    dataset: Dataset, profile: Profile, person: Person, *, is_writing: WritingTest | None = None
) -> Dataset:
    """The elements that remain, with what stands for the removed ones; see `deidentified`."""
    with lenient():
        return _data_set(dataset, _Work(dataset, profile, person, is_writing), top=True)


def _data_set(
    dataset: Dataset, work: _Work, *, top: bool = False, is_clean: bool = False, is_dummy: bool = False
) -> Dataset:
    """The elements that remain, in a new data set. `is_clean`: texts keep harmless words only; `is_dummy`: none."""
    made = Dataset()
    overlays_gone = set()
    for tag in sorted(dataset.keys()):
        if tag.is_private or tag.element == 0:  # lengths of groups are made anew where they are needed
            continue
        element = read(dataset, tag)
        if element is None:
            continue
        kept = _element(element, work, dataset, top=top, is_clean=is_clean, is_dummy=is_dummy)
        if kept is not None:
            made.add(kept)
        elif tag.group >> 8 == 0x60 and tag.element == 0x3000:
            overlays_gone.add(tag.group)
    for tag in [t for t in made.keys() if t.group in overlays_gone]:  # noqa: SIM118
        del made[tag]  # an overlay plane without its data is no plane
    if "retain_safe_private" in work.profile.options:
        _keep_safe_private(dataset, made, work)
    return made


def _element(
    element: DataElement, work: _Work, of: Dataset, *, top: bool, is_clean: bool, is_dummy: bool
) -> DataElement | None:
    action = work.profile.action(int(element.tag), work.sop_class if top else None)
    if element.tag in PIXELS:
        return element if action.code == "K" and top else None
    if is_dummy and action.code in "KCZ" and element.VR not in ("CS", "UI", "SQ"):
        action = Action("D", action.basic)
    elif is_dummy and action.code == "K" and element.VR == "UI":
        action = Action("U", action.basic)
    elif is_clean and action.code == "K" and element.VR in TEXT_VRS:
        action = Action("C", "Z", "clean_descriptors")
    code, value = action.code, element.value
    if code == "C":
        value = _clean(element, action, work, of)
        code = "K" if value is not None else action.basic
    if code in "DZU" and element.VR == "SQ" and code != "Z":
        items = [_data_set(item, work, is_clean=is_clean, is_dummy=is_dummy or code == "D") for item in element.value]
        return DataElement(element.tag, "SQ", Sequence(items))
    if code == "X":
        return None
    if code == "Z":
        return DataElement(element.tag, element.VR, Sequence() if element.VR == "SQ" else None)
    if code == "D" and element.VR != "UI":
        return DataElement(element.tag, element.VR, None if element.is_empty else DUMMIES.get(element.VR))
    if code in "DU":
        return DataElement(element.tag, element.VR, _each(value, lambda uid: _uid(str(uid), element, work)))
    if element.VR == "SQ" and action.code != "C":
        value = Sequence([_data_set(item, work, is_clean=is_clean, is_dummy=is_dummy) for item in value])
    return DataElement(element.tag, element.VR, _last_look(element, value, work))


def _each(value: Any, change: Callable[[Any], Any]) -> Any:
    """One value, or each of several; nothing stays nothing."""
    if value is None or value == "":
        return value
    return [change(v) for v in value] if isinstance(value, list | tuple) or hasattr(value, "append") else change(value)


def _uid(uid: str, element: DataElement, work: _Work) -> str:
    uid = uid.strip("\0 ")
    names_kind = work.profile.row(element.tag) is None and any(word in element.keyword for word in CLASS_WORDS)
    return uid if not uid or names_kind or is_class(uid) else work.person.uid(uid)


def _clean(element: DataElement, action: Action, work: _Work, of: Dataset) -> Any:
    """The value with its meaning and without identity; None where that cannot be had."""
    vr, value = element.VR, element.value
    if vr == "SQ":
        return Sequence([_data_set(item, work, is_clean=True) for item in value])
    if vr in ("DA", "DT", "TM"):
        days = work.person.shift_days
        moved = _each(value, lambda text: shifted_value(str(text), vr, days))
        return None if moved is None or (isinstance(moved, list) and None in moved) else moved
    if vr == "AE":
        return _each(value, lambda title: f"AE{work.person.uid(str(title))[-12:]}")
    if vr == "SH" and action.option == "retain_modified_dates":
        return value if OFFSET.fullmatch(str(value)) else None
    if vr in TEXT_VRS or vr == "CS":
        told = _each(value, lambda text: cleaned(str(text), work.profile.words, work.denied))
        whole = told == value or vr != "CS"
        return told if whole and any(told if isinstance(told, list) else [told]) else None
    if element.tag.group >> 8 == 0x60 and element.tag.element == 0x3000:
        return _overlay(element, work, of)
    return None  # bytes that cannot be searched (the points of a curve among them)


def _overlay(element: DataElement, work: _Work, of: Dataset) -> bytes | None:
    """The bits of an overlay that shows no writing; an overlay that cannot be searched goes."""
    sizes = [of.get((element.tag.group, number)) for number in (0x0010, 0x0011)]
    if work.is_writing is None or None in sizes or not isinstance(element.value, bytes):
        return None
    rows, columns = (int(size.value) for size in sizes if size is not None)
    return None if work.is_writing(element.value, rows, columns) else element.value


def _last_look(element: DataElement, value: Any, work: _Work) -> Any:
    """A kept value, without the person's own words wherever they stand in it."""
    if element.VR in TEXT_VRS:
        return _each(value, lambda text: work.without_own(str(text)))
    if element.VR == "CS":
        return _each(value, lambda text: "" if len(str(text)) >= SHORTEST_ID and _is_own(str(text), work) else text)
    if element.VR == "AS":
        return _each(value, lambda text: capped_age(str(text)))
    if element.VR in ("UR", "AE"):
        return _each(value, lambda text: "" if _is_own(str(text), work) else text)
    if element.VR in BYTE_VRS and isinstance(value, bytes) and len(value) <= 65_536:
        return None if _is_own(value.decode("latin-1"), work) else value
    return value


def _is_own(text: str, work: _Work) -> bool:
    return work.without_own(text) != text


def _keep_safe_private(dataset: Dataset, made: Dataset, work: _Work) -> None:
    """Private attributes on the list of safe ones, with the creators of their blocks."""
    for tag in dataset.keys():  # noqa: SIM118
        if not tag.is_private or tag.element < 0x1000:
            continue
        creator = dataset.get((tag.group, tag.element >> 8))
        named = str(creator.value).strip() if creator is not None else ""
        vr = work.profile.safe_private.get((tag.group, named, tag.element & 0xFF))
        element = read(dataset, tag) if vr is not None else None
        if element is not None and vr == element.VR and not _is_own(str(element.value), work):
            made.add(DataElement(tag, element.VR, element.value))
            made.add(DataElement(Tag(tag.group, tag.element >> 8), "LO", named))


def _name(dataset: Dataset, made: Dataset, person: Person) -> None:
    """The patient's pseudonyms: the same as in silver."""
    accession = str(dataset.get("AccessionNumber") or "").strip()
    if accession:
        made.AccessionNumber = person.code(accession)
    made.PatientID = made.PatientName = str(person.person_id)


def _tell(made: Dataset, profile: Profile) -> None:
    """Write down that and how the object was de-identified."""
    made.PatientIdentityRemoved = "YES"
    codes = [BASIC_CODE, *[OPTION_CODES[name] for name in OPTION_CODES if name in profile.options]]
    made.DeidentificationMethod = ["DICOM PS3.15 annex E 2025a", *[f"{code} {text}"[:64] for code, text in codes]]
    items = []
    for code, text in codes:
        item = Dataset()
        item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = code, "DCM", text
        items.append(item)
    made.DeidentificationMethodCodeSequence = Sequence(items)
    full, modified = (name in profile.options for name in ("retain_full_dates", "retain_modified_dates"))
    made.LongitudinalTemporalInformationModified = "UNMODIFIED" if full else "MODIFIED" if modified else "REMOVED"


def _meta(dataset: FileDataset, made: Dataset) -> FileMetaDataset:
    """A file meta group of our own: nothing of the old one but how the data set is encoded."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = made.SOPClassUID
    meta.MediaStorageSOPInstanceUID = made.SOPInstanceUID
    meta.TransferSyntaxUID = dataset.file_meta.get("TransferSyntaxUID", ExplicitVRLittleEndian)
    meta.ImplementationClassUID = IMPLEMENTATION_UID
    meta.ImplementationVersionName = IMPLEMENTATION_NAME
    return meta


@contextmanager
def lenient() -> Iterator[None]:
    """Values as they were received are neither refused nor quoted in a warning."""
    settings = config.settings
    was = settings.reading_validation_mode, settings.writing_validation_mode
    settings.reading_validation_mode = settings.writing_validation_mode = config.IGNORE
    try:
        yield
    finally:
        settings.reading_validation_mode, settings.writing_validation_mode = was
