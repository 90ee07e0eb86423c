"""One HL7 v2 message: is it sound, whom is it about, and its segments as JSON.

The splitting into segments, fields, repetitions, components and sub-components is python-hl7's: on a message of 24
segments it takes 1 ms where hl7apy, which builds and checks a typed tree, takes 35 ms. What may be wrong with a message
is decided here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import hl7

from medlake.sources.reading import Refused

# code → (what an acknowledgement says, error code of HL7 table 0357, the sentence)
REASONS: dict[str, tuple[str, str, str]] = {
    "message_too_long": ("AR", "207", "The message is longer than ingest.max_line_bytes; its start is kept."),
    "too_many_parts": ("AR", "207", "The message has more fields and components than any real one."),
    "truncated": ("AR", "100", "The MLLP block of the message does not end."),
    "batch_count": ("AE", "100", "BTS-1 names another number of messages than the batch has."),
    "batch_truncated": ("AE", "100", "The batch or file envelope that was opened is not closed."),
    "msh_missing": ("AR", "100", "The text does not begin with an MSH segment."),
    "nul_byte": ("AR", "102", "A NUL byte stands in the message."),
    "separators": ("AR", "102", "MSH-1 and MSH-2 do not name different separators."),
    "charset_unknown": ("AR", "103", "MSH-18 names a character set that is not known."),
    "encoding": ("AR", "102", "The bytes are not in the character set of MSH-18 (UTF-8 where it is empty)."),
    "type_missing": ("AR", "101", "MSH-9 is empty."),
    "control_id_missing": ("AR", "101", "MSH-10 is empty."),
    "type_unknown": ("AR", "200", "The message type is not ADT, ORU or MDM."),
    "event_unknown": ("AR", "201", "The trigger event is not one of its message type."),
    "not_production": ("AR", "202", "MSH-11 says that it is a test or a training message."),
    "version_unknown": ("AR", "203", "MSH-12 is no version 2."),
    "segment_malformed": ("AE", "100", "A line of the message does not begin with a segment's name."),
    "segment_missing": ("AE", "100", "A segment that its type needs is missing: cut off or incomplete."),
    "patient_missing": ("AE", "101", "PID-3 gives no key of the patient."),
    "merge_key_missing": ("AE", "101", "MRG-1 does not say which key was merged."),
    "result_code_missing": ("AE", "101", "OBX-3 does not say what was observed."),
}
CHARSETS = {
    "": "utf-8", "UNICODE UTF-8": "utf-8", "UTF-8": "utf-8", "UTF8": "utf-8", "UNICODE": "utf-8", "ASCII": "utf-8",
    **{f"8859/{n}": f"iso8859_{n}" for n in (1, 2, 3, 4, 5, 6, 7, 8, 9, 15)},
    "WINDOWS-1252": "cp1252", "CP1252": "cp1252", "GB 18030-2000": "gb18030", "BIG-5": "big5", "KS X 1001": "euc_kr",
}  # fmt: skip
EVENTS = {"ADT": re.compile(r"A\d\d"), "ORU": re.compile(r"R01"), "MDM": re.compile(r"T(0[1-9]|1[01])")}
MERGES = frozenset({"A18", "A30", "A34", "A36", "A39", "A40", "A47"})  # the key in MRG-1 is now the one in PID-3
WITH_TEXT = frozenset({"T02", "T04", "T06", "T08", "T10"})
PRODUCTION = ("", "P")
KEY_TYPES = ("MR", "PI", "PT")  # HL7 table 0203: which identifier of PID-3 is the key, where several stand
MOMENT = re.compile(
    r"(\d{4})(\d\d)(\d\d)(?:(\d\d)(?:(\d\d)(?:(\d\d)(?:\.(\d{1,6})\d*)?)?)?)?(?:([+-]\d\d)(\d\d))?"
)
_SEGMENT = re.compile(r"[A-Z][A-Z0-9]{2}")
MAX_PARTS = 250_000  # a parsed part takes some hundred bytes and microseconds: 16 MB of separators would take minutes
DELETED = '""'  # HL7's explicit null


@dataclass(frozen=True)
class Header:
    """What MSH says. `separators`: field, component, repetition, escape, sub-component (escape on may be empty)."""

    separators: tuple[str, ...]
    type: str
    trigger: str
    control_id: str | None
    version: str | None
    processing: str
    sent: str  # MSH-7 as written


def refusal(code: str) -> Refused:
    """The verdict with its sentence."""
    return Refused(code, REASONS[code][2])


def read_text(data: bytes) -> str:
    """The message as text, in the character set that MSH-18 names.

    Raises:
        Refused: no MSH, a NUL byte, or bytes that the character set does not have.
    """
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):  # UTF-16
        raise refusal("encoding")
    if not data.startswith(b"MSH"):
        raise refusal("msh_missing")
    if b"\x00" in data:
        raise refusal("nul_byte")
    first = re.split(rb"[\r\n]", data, maxsplit=1)[0]
    if first[3:4] in (b"", b" ") or first[3:4].isalnum():
        raise refusal("separators")
    fields = first.split(first[3:4])
    said = fields[17].decode("latin-1") if len(fields) > 17 else ""
    name = re.split(r"[~\\^&]", said)[0].strip().upper()
    if name not in CHARSETS:
        raise refusal("charset_unknown")
    try:
        return data.decode(CHARSETS[name])
    except UnicodeDecodeError as fault:
        raise refusal("encoding") from fault


def read_header(text: str) -> Header:
    """What MSH says, as far as it can be read; whether it will do is `check_header`'s question.

    Raises:
        Refused: the separators make no sense, so that nothing else can be read.
    """
    first = re.split(r"[\r\n]", text, maxsplit=1)[0]
    mark = first[3:4]
    fields = first.split(mark) if mark else [first]
    inner = fields[1] if len(fields) > 1 else ""
    marks = (mark, *inner)
    if not 3 <= len(marks) <= 6 or len(set(marks)) != len(marks):
        raise refusal("separators")
    if any(m.isalnum() or m.isspace() for m in marks):
        raise refusal("separators")
    told = [*fields, *[""] * 12]
    kind = told[8].split(marks[1])
    return Header(
        marks, kind[0].strip().upper(), (kind[1] if len(kind) > 1 else "").strip().upper(),
        told[9].strip() or None, told[11].split(marks[1])[0].strip() or None,
        told[10].split(marks[1])[0].strip().upper(), told[6].strip(),
    )  # fmt: skip


def check_header(header: Header) -> None:
    """Raises Refused where the message is none that is taken in."""
    known = EVENTS.get(header.type)
    checks = {
        "type_missing": not header.type,
        "control_id_missing": header.control_id is None,
        "type_unknown": known is None,
        "event_unknown": known is not None and not known.fullmatch(header.trigger),
        "not_production": header.processing not in PRODUCTION,
        "version_unknown": header.version is not None and not header.version.startswith("2."),
    }
    for code, fails in checks.items():
        if fails:
            raise refusal(code)


def read_segments(text: str, header: Header, authority: str | None) -> list[dict[str, Any]]:
    """The segments in order, each with its fields, its place and the places of the PID, PV1 and OBR it stands under.

    A field is `f<n>`: a list of repetitions; in each `c<n>` is a component, `c<n>_<m>` its m-th sub-component and
    `t<n>` a component that reads as a day or a time, in ISO form. What is empty is absent, `""` is null.
    `key`: the patient's key that a PID or MRG names.

    Raises:
        Refused: a line is no segment, or segments and keys that the type needs are missing.
    """
    lines = [line for line in re.split(r"[\r\n]+", text) if line.strip()]
    mark = header.separators[0]
    if len(lines) + sum(text.count(m) for m in header.separators) > MAX_PARTS:
        raise refusal("too_many_parts")
    for line in lines:
        if not _SEGMENT.fullmatch(line[:3]) or line[3:4] not in ("", mark):
            raise refusal("segment_malformed")
    try:
        parsed = hl7.parse("\r".join(lines))
    except Exception as fault:  # python-hl7 raises whatever its lists and strings do
        raise refusal("segment_malformed") from fault
    words = Words(header)
    found = [{"segment": str(s[0]), "place": place, "fields": words.fields(s)} for place, s in enumerate(parsed)]
    _tie(found, authority)
    _check_segments(found, header)
    return found


def _tie(found: list[dict[str, Any]], authority: str | None) -> None:
    """Write into each segment under which PID, PV1 and OBR it stands; a new patient ends visit and order."""
    above: dict[str, int] = {}
    for part in found:
        kind = part["segment"]
        if kind == "PID":
            above = {"of_pid": part["place"]}
            part["key"] = patient_key(part["fields"], "f3", authority) or patient_key(part["fields"], "f2", authority)
        elif kind in ("PV1", "OBR"):
            above[f"of_{kind.lower()}"] = part["place"]
        elif kind == "MRG":
            part["key"] = patient_key(part["fields"], "f1", authority)
        part |= above
        part[kind] = part.pop("fields")


def patient_key(fields: dict[str, Any], field: str, authority: str | None) -> str | None:
    """The key among the identifiers of a CX field: the declared authority's, else by `KEY_TYPES`, else the first."""
    given = [r for r in fields.get(field, []) if r.get("c1")]
    if authority is not None:
        given = [r for r in given if r.get("c4") == authority]
    for kind in KEY_TYPES:
        for one in given:
            if one.get("c5") == kind:
                return str(one["c1"])
    return str(given[0]["c1"]) if given else None


def _check_segments(found: list[dict[str, Any]], header: Header) -> None:
    kinds = {part["segment"] for part in found}
    needs = {"ORU": {"PID", "OBR", "OBX"}, "MDM": {"PID", "TXA"}}.get(header.type, {"PID"})
    if header.type == "ADT" and header.trigger in MERGES:
        needs = needs | {"MRG"}
    if header.type == "MDM" and header.trigger in WITH_TEXT:
        needs = needs | {"OBX"}
    if needs - kinds:
        raise refusal("segment_missing")
    for part in found:
        if part["segment"] == "PID" and not part["key"]:
            raise refusal("patient_missing")
        if part["segment"] == "MRG" and header.trigger in MERGES and not part["key"]:
            raise refusal("merge_key_missing")
        if part["segment"] == "OBX" and not _first(part["OBX"], "f3"):
            raise refusal("result_code_missing")


def _first(fields: dict[str, Any], field: str) -> bool:
    return any(r.get("c1") or r.get("c2") or r.get("c4") for r in fields.get(field, []))


class Words:
    """Turns what the parser split into texts: escapes undone, moments read, empties left out."""

    def __init__(self, header: Header) -> None:
        marks = (*header.separators, "", "", "")
        self.escape = marks[3]
        self.meant = {"F": marks[0], "S": marks[1], "R": marks[2], "E": marks[3], "T": marks[4], "P": marks[5]}
        zone = MOMENT.fullmatch(header.sent)
        self.zone = (zone[8] + zone[9]) if zone and zone[8] else None  # MSH-7's zone holds for the whole message
        self.pattern = re.compile(f"{re.escape(self.escape)}([^{re.escape(self.escape)}]*){re.escape(self.escape)}") \
            if self.escape else None  # fmt: skip

    def fields(self, segment: Any) -> dict[str, Any]:
        """The valued fields of a parsed segment by name."""
        is_header = str(segment[0]) == "MSH"
        told = {}
        for number, field in enumerate(segment[1:], start=1):
            if is_header and number < 3:
                continue  # the separators themselves
            repetitions = [dict(self._components(r)) for r in field]
            while repetitions and not repetitions[-1]:
                repetitions.pop()
            if repetitions:
                told[f"f{number}"] = repetitions
        return told

    def _components(self, repetition: Any) -> Iterator[tuple[str, str | None]]:
        for n, component in enumerate([repetition] if isinstance(repetition, str) else repetition, start=1):
            parts = [component] if isinstance(component, str) else component
            for m, part in enumerate(parts, start=1):
                text = str(part)
                if text:
                    name = f"c{n}" if m == 1 else f"c{n}_{m}"
                    yield name, None if text == DELETED else self.plain(text)
                if m == 1 and (moment := self.moment(text)):
                    yield f"t{n}", moment

    def plain(self, text: str) -> str:
        """The text without escape sequences; one that is not known stays as it is."""
        if self.pattern is None or self.escape not in text:
            return text
        return self.pattern.sub(lambda m: self._meaning(m[1], m[0]), text)

    def _meaning(self, said: str, whole: str) -> str:
        if self.meant.get(said):
            return self.meant[said]
        if said in ("H", "N"):  # highlighting on and off
            return ""
        if said.startswith("X"):
            return _from_hex(said[1:]) or whole
        if said.startswith(".br") or said.startswith(".ce"):
            return "\n"
        if said.startswith(".sp"):
            lines = said[3:].strip().lstrip("+")
            return "\n" * min(int(lines), 100) if lines.isdigit() else "\n"
        return "" if said[:3] in (".in", ".ti", ".fi", ".nf", ".sk") else whole

    def moment(self, text: str) -> str | None:
        """`20240102030405.1+0100` as `2024-01-02 03:04:05.1+01:00`; a day alone has no time and no zone."""
        found = MOMENT.fullmatch(text) if text[:8].isdigit() else None
        if not found:
            return None
        year, month, day, hour, minute, second, part, zone, zone_minute = found.groups()
        iso = f"{year}-{month}-{day}"
        if hour:
            iso += f" {hour}:{minute or '00'}:{second or '00'}" + (f".{part}" if part else "")
            offset = zone + zone_minute if zone else self.zone
            iso += f"{offset[:3]}:{offset[3:]}" if offset else ""
        try:
            datetime.fromisoformat(iso)
        except ValueError:
            return None
        return iso


def _from_hex(digits: str) -> str | None:
    try:
        text = bytes.fromhex(digits).decode("utf-8")
    except (ValueError, UnicodeDecodeError):
        return None
    return None if "\x00" in text else text
