"""PS3.15 table E.1-1 as it is published: every attribute planted, and what must have become of it.

The judge reads the published table and never ours.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from pydicom import config
from pydicom.datadict import dictionary_VR
from pydicom.dataelem import DataElement, validate_value
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.tag import Tag
from tests.shared import shared

TABLE = "dicom-ps3.15-table-E.1-1-2025-01.json"
SECRET = "Zq7Quux"
SECRET_UID = "1.2.3.4.5.777"
OPTIONS = {
    "retain_uids": "rtnUIDsOpt", "retain_device": "rtnDevIdOpt", "retain_institution": "rtnInstIdOpt",
    "retain_patient": "rtnPatCharsOpt", "retain_full_dates": "rtnLongFullDatesOpt",
    "retain_modified_dates": "rtnLongModifDatesOpt", "clean_descriptors": "cleanDescOpt",
    "clean_structured_content": "cleanStructContOpt", "clean_graphics": "cleanGraphOpt",
    "retain_safe_private": "rtnSafePrivOpt",
}  # fmt: skip
PLANTED: dict[str, Any] = {
    "AE": "Zq7QuuxAE", "AS": "031Y", "CS": "ZQ7QUUX", "DA": "20240310", "DT": "20240310112233", "TM": "112233",
    "DS": "42.42", "IS": "4242", "PN": "Yx9Name^Anna", "LO": f"axial {SECRET}", "SH": SECRET, "LT": f"axial {SECRET}",
    "ST": f"axial {SECRET}", "UT": f"axial {SECRET}", "UC": f"axial {SECRET}", "UR": f"http://{SECRET}.org",
    "US": 4242, "UL": 4242, "FD": 42.42, "FL": 42.5, "OB": SECRET.encode() + b"\0", "UN": SECRET.encode() + b"\0",
    "UI": SECRET_UID,
}  # fmt: skip
MOVED = {"DA": "20240229", "DT": "20240229112233", "TM": "112233"}  # ten days earlier, in a leap year
SHIFT_DAYS = -10
REPEATING = {"50xxxxxx": (0x50023000, "OB"), "60xx3000": (0x60023000, "OB"), "60xx4000": (0x60024000, "LT")}
PRIVATE = "ggggeeee-where-gggg-is-odd"


@dataclass(frozen=True)
class Case:
    """One row of the table, where it is planted, and its representation."""

    name: str
    tag: int
    vr: str
    row: dict[str, str]

    def allowed(self, options: list[str], *, nested: bool) -> set[str]:
        """The actions that are right."""
        said = {self.row[OPTIONS[o]] for o in options if OPTIONS.get(o) in self.row}
        if said:
            return {"C"} if "C" in said else {"K"}
        codes = self.row["basicProfile"].replace("*", "").split("/")
        return {codes[-1]} if nested else set(codes)


def cases() -> list[Case]:
    """All 621."""
    rows = json.loads(shared("standards", TABLE).read_text(encoding="utf-8"))
    found = []
    for row in rows:
        if row["id"] in REPEATING:
            tag, vr = REPEATING[row["id"]]
        elif row["id"] == PRIVATE:
            tag, vr = 0x00191008, "LO"
        else:
            tag = int(row["id"], 16)
            vr = dictionary_VR(tag)
        found.append(Case(row["name"].split("\n")[0].strip(), tag, vr, row))
    return found


def planted(case: Case) -> Any:
    """A value with a secret in it, valid for its representation."""
    if case.vr != "SQ":
        value = "+0100" if case.tag == 0x00080201 else PLANTED[case.vr]
        # each text is another one: what goes, goes by its own row and not as a word of the patient's found elsewhere
        return f"{value}{case.tag:08X}" if case.vr in ("LO", "LT", "SH", "ST", "UT", "UC") and value != "+0100" else value
    item = Dataset()
    item.ReferencedSOPInstanceUID = SECRET_UID
    if "U" not in case.row["basicProfile"]:
        item.CodeMeaning, item.TextValue = (f"axial {SECRET}{case.tag:08X}",) * 2
    return Sequence([item])


def plant(into: Dataset, some: list[Case]) -> Dataset:
    for case in some:
        if case.row["id"] == PRIVATE:
            into.add(DataElement(0x00190010, "LO", "ACME 1.0"))
        if case.tag == 0x60023000:
            for number, value in ((0x0010, 8), (0x0011, 8)):
                into.add(DataElement(Tag(0x6002, number), "US", value))
        into.add(DataElement(case.tag, case.vr, planted(case)))
    return into


def fault(case: Case, before: Dataset, after: Dataset, allowed: set[str], uids: dict[str, str]) -> str | None:
    """Why the outcome fits none of the allowed actions; None where it fits one."""
    told = []
    for code in sorted(allowed):
        wrong = JUDGES[code](case, before[case.tag], after.get(Tag(case.tag)), uids)
        if wrong is None:
            return None
        told.append(f"{code}: {wrong}")
    return f"{case.tag:08X} {case.name} ({case.vr}): " + "; ".join(told)


def _removed(case: Case, before: DataElement, after: DataElement | None, uids: dict[str, str]) -> str | None:
    return None if after is None else "is still there"


def _emptied(case: Case, before: DataElement, after: DataElement | None, uids: dict[str, str]) -> str | None:
    return "is absent" if after is None else None if after.is_empty else "holds a value"


def _dummy(case: Case, before: DataElement, after: DataElement | None, uids: dict[str, str]) -> str | None:
    if after is None or after.is_empty:
        return "has no value"
    if SECRET.lower() in _told(after).lower() or (case.vr != "SQ" and after.value == before.value):
        return "holds the secret"
    if SECRET_UID in _told(after):
        return "holds the UID"
    return None if case.vr == after.VR and _valid(after) else "is not valid"


def _remapped(case: Case, before: DataElement, after: DataElement | None, uids: dict[str, str]) -> str | None:
    if after is None:
        return "is absent"
    have = after.value[0].ReferencedSOPInstanceUID if case.vr == "SQ" else after.value
    return None if have == uids[SECRET_UID] and SECRET_UID not in _told(after) else "is another UID"


def _kept(case: Case, before: DataElement, after: DataElement | None, uids: dict[str, str]) -> str | None:
    if after is None:
        return "is absent"
    if case.vr == "SQ":
        return None if len(after.value) == 1 and after.value[0].keys() == before.value[0].keys() else "lost its items"
    return None if after.value == before.value else "has another value"


def _clean(case: Case, before: DataElement, after: DataElement | None, uids: dict[str, str]) -> str | None:
    if after is not None and SECRET.lower() in _told(after).lower():
        return "holds the secret"
    if case.vr in MOVED:
        return None if after is not None and after.value == MOVED[case.vr] else "did not move with the person"
    if case.vr in ("LO", "LT", "ST", "UT") and before.value.startswith("axial"):
        if case.row["id"] == PRIVATE:
            return _removed(case, before, after, uids)
        return None if after is not None and after.value == "axial" else "lost its harmless word"
    if case.vr == "SQ":
        if after is None or "axial" not in _told(after):
            return "lost its meaning"
        return None if SECRET_UID not in _told(after) or "kept" in uids else "holds the UID"
    if case.vr == "SH" and case.tag == 0x00080201:
        return _kept(case, before, after, uids)
    if case.vr == "AE":
        return _dummy(case, before, after, uids)
    if after is None:
        return None if "X" in case.row["basicProfile"] else "is absent"
    return None if after.is_empty or after.value != before.value else "is as it was"


def _told(element: DataElement) -> str:
    """All that an element says, at every depth and in full."""
    if element.VR == "SQ":
        return "\n".join(_told(inner) for item in element.value for inner in item)
    return element.value.decode("latin-1") if isinstance(element.value, bytes) else str(element.value)


def _valid(element: DataElement) -> bool:
    if element.VR == "SQ":
        return all(_valid(inner) for item in element.value for inner in item)
    values = element.value if element.VM > 1 else [element.value]
    try:
        for value in values:
            validate_value(element.VR, str(value) if element.VR in ("DS", "IS", "PN") else value, config.RAISE)
    except ValueError:
        return False
    return True


JUDGES = {"X": _removed, "Z": _emptied, "D": _dummy, "U": _remapped, "K": _kept, "C": _clean}
