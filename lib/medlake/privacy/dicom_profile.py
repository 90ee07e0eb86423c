"""What DICOM PS3.15 annex E does with each attribute: the table, the options chosen, one action per attribute.

The facts stand in conf/dicom_profile.toml. Where the table leaves the action to the object's definition
(`X/Z`, `X/Z/D` …), PS3.3's type decides at the top level of a known kind of object; elsewhere the action that
is valid everywhere is taken (a dummy before an empty value before removal).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from pydicom.datadict import dictionary_has_tag, dictionary_VR

from medlake.grammar.errors import ConfigError

# CID 7050, De-identification Method: option → (code, meaning)
BASIC_CODE = ("113100", "Basic Application Confidentiality Profile")
OPTION_CODES = {
    "clean_pixel_data": ("113101", "Clean Pixel Data Option"),
    "clean_recognizable_features": ("113102", "Clean Recognizable Visual Features Option"),
    "clean_graphics": ("113103", "Clean Graphics Option"),
    "clean_structured_content": ("113104", "Clean Structured Content Option"),
    "clean_descriptors": ("113105", "Clean Descriptors Option"),
    "retain_full_dates": ("113106", "Retain Longitudinal Temporal Information Full Dates Option"),
    "retain_modified_dates": ("113107", "Retain Longitudinal Temporal Information Modified Dates Option"),
    "retain_patient": ("113108", "Retain Patient Characteristics Option"),
    "retain_device": ("113109", "Retain Device Identity Option"),
    "retain_uids": ("113110", "Retain UIDs Option"),
    "retain_safe_private": ("113111", "Retain Safe Private Option"),
    "retain_institution": ("113112", "Retain Institution Identity Option"),
}
ACTIONS = ("X", "Z", "D", "U", "K", "C", "X/Z", "X/D", "Z/D", "X/Z/D", "X/Z/U*")
CLASS_WORDS = ("Class", "Syntax")  # UIDs that say of what kind something is, never whose it is


@dataclass(frozen=True)
class Row:
    """One attribute: the Basic profile's action, and that of each option that has one."""

    basic: str
    options: Mapping[str, str]


@dataclass(frozen=True)
class Action:
    """What is done: X, Z, D, U, K or C, the Basic profile's action behind it, and the option that decided."""

    code: str
    basic: str
    option: str | None = None


@dataclass(frozen=True)
class Profile:
    """The table with the options that hold."""

    rows: Mapping[str, Row]
    options: frozenset[str]
    demand: Mapping[str, Mapping[str, str]]  # tag → kind of object → type (1 or 2)
    kinds: Mapping[str, str]  # SOP class → kind of object
    safe_private: Mapping[tuple[int, str, int], str]  # (group, creator, element) → value representation
    words: frozenset[str] = field(default_factory=frozenset)

    def action(self, tag: int, sop_class: str | None = None) -> Action:
        """The action for a tag. `sop_class`: of the object where the attribute stands at its top level."""
        row = self.row(tag)
        if row is None:
            return _of_unlisted(tag, self.options)
        basic = self._settled(tag, row.basic, sop_class)
        chosen = {option: row.options[option] for option in sorted(self.options) if option in row.options}
        for wanted in ("C", "K"):  # of two options the more careful one
            for option, code in chosen.items():
                if code == wanted:
                    return Action(code, basic, option)
        return Action(basic, basic)

    def row(self, tag: int) -> Row | None:
        """The row of a tag; of repeating groups and private attributes the row that stands for them."""
        group, text = tag >> 16, f"{tag:08X}"
        if group % 2:
            return self.rows["private"]
        if group >> 8 == 0x50:
            return self.rows["50xxxxxx"]
        if group >> 8 == 0x60:
            return self.rows.get(f"60xx{text[4:]}")
        return self.rows.get(text)

    def _settled(self, tag: int, said: str, sop_class: str | None) -> str:
        allowed = said.replace("*", "").split("/")
        if len(allowed) == 1:
            return said
        kind = self.kinds.get(sop_class or "")
        if kind is None:
            return allowed[-1]
        wanted = {"1": ("D", "U", "Z"), "2": ("Z", "D", "U")}.get(
            self.demand.get(f"{tag:08X}", {}).get(kind, ""), ("X", "Z", "D")
        )
        return next(code for code in wanted if code in allowed)


def profile_of(table: Mapping[str, Any], choices: Mapping[str, Any]) -> Profile:
    """The profile from conf/dicom_profile.toml and conf/dicom.toml.

    Raises:
        ConfigError: an option or action is unknown, or two options contradict each other.
    """
    options = frozenset(choices.get("options", ()))
    unknown = sorted(options - set(OPTION_CODES))
    if unknown:
        raise ConfigError(f"conf/dicom.toml: unknown options {', '.join(unknown)}; known: {', '.join(OPTION_CODES)}")
    if {"retain_full_dates", "retain_modified_dates"} <= options:
        raise ConfigError("conf/dicom.toml: dates are either kept in full or modified, not both")
    rows = {tag: _row(tag, said) for tag, said in table.get("attribute", {}).items()}
    demand = {
        tag: {kind: number for number, kinds in by_type.items() for kind in kinds}
        for tag, by_type in table.get("demand", {}).items()
    }
    safe = {
        (int(entry["group"], 16), entry["creator"], int(element, 16)): vr
        for entry in choices.get("safe_private", ())
        for element, vr in entry["elements"].items()
    }
    words = frozenset(choices.get("clean", {}).get("words", "").lower().split())
    return Profile(rows, options, demand, table.get("kind", {}), safe, words)


def _row(tag: str, said: str) -> Row:
    basic, *rest = said.split()
    options = dict(part.split("=", 1) for part in rest if "=" in part)
    wrong = len(options) != len(rest) or basic not in ACTIONS or not set(options.values()) <= {"K", "C"}
    if wrong or not set(options) <= set(OPTION_CODES):
        raise ConfigError(f"conf/dicom_profile.toml: {tag} = {said!r} is no action with options")
    return Row(basic, options)


@lru_cache(maxsize=100_000)
def _of_unlisted(tag: int, options: frozenset[str]) -> Action:
    """An attribute that the table does not list is kept where it can name nobody, by its value representation."""
    if not dictionary_has_tag(tag):
        return Action("X", "X")  # what the standard does not know does not pass
    vr = dictionary_VR(tag)
    if vr == "PN":
        return Action("Z", "Z")
    if vr in ("DA", "DT"):
        if "retain_modified_dates" in options:
            return Action("C", "Z", "retain_modified_dates")
        return Action("K", "Z") if "retain_full_dates" in options else Action("Z", "Z")
    if vr == "UI" and "retain_uids" not in options:
        return Action("U", "U")
    return Action("K", "K")
