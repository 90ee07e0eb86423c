"""A FHIR R4 Bundle → its entries: each resource as its own text, references within the Bundle resolved.

The text of a resource is cut out of the Bundle, never written anew: 1.50 stays 1.50. Two things change in it: a
reference to another entry's `fullUrl` (urn:uuid:… in a transaction) becomes that resource's Type/id, and a resource
without id gets the one that its `fullUrl` tells. https://hl7.org/fhir/R4/bundle.html
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from medlake.sources.reading import Refused
from medlake.sources.strict_json import Cursor

PLACES = 1_000_000_000  # entry n of a Bundle on line l stands in row l * PLACES + n
# A quote inside a JSON text is escaped, so this finds keys alone.
LAST_WORD = re.compile(r"([^/:#]+?)(?:/_history/[^/]*)?$")  # of a reference, as the mappings take it
REFERENCE = re.compile(r'("reference"\s*:\s*")([^"\\]+)(?=")')
URN = re.compile(r"urn:(?:uuid|oid):([A-Za-z0-9.\-]{1,64})")
PLAIN = re.compile(r"[A-Za-z]{1,64}/[A-Za-z0-9._\-]{1,128}")
ONE_RESOURCE = re.compile(r"(?:.*/)?([A-Z][A-Za-z]+)/([^/?#\s]+)")


@dataclass(frozen=True)
class Entry:
    """One entry: where it stands in the text, who it is, and why it cannot be used."""

    start: int
    end: int
    span: tuple[int, int] | None = None  # of its resource
    head: dict[str, Any] | None = None  # type, id, version, time
    fields: dict[str, Any] = field(default_factory=dict)  # fullUrl, request, response
    fault: Refused | None = None

    def part(self, name: str) -> dict[str, Any]:
        """`request` or `response`; empty where there is none."""
        found = self.fields.get(name)
        return found if isinstance(found, dict) else {}

    @property
    def full_url(self) -> str:
        found = self.fields.get("fullUrl")
        return found if isinstance(found, str) else ""

    @property
    def is_deletion(self) -> bool:
        return self.part("request").get("method") == "DELETE"


def entries(text: str, longest: int) -> list[Entry] | None:
    """The entries of a Bundle; None where the text is another resource.

    Raises:
        Refused: the text is no sound JSON object; nothing of it is used.
    """
    cursor, kind, found = Cursor(text, longest), None, []
    if not cursor.sees("{"):
        return None
    for key in cursor.members():
        if key == "entry" and cursor.sees("["):
            found = [_entry(cursor) for _ in cursor.items()]
        else:
            value = cursor.value()
            kind = value if key == "resourceType" else kind
    cursor.end()
    return found if kind == "Bundle" else None


def _entry(cursor: Cursor) -> Entry:
    start, span, head, fields = cursor.at, None, None, {}
    try:
        if not cursor.sees("{"):
            raise Refused("entry_unusable", "An entry of the Bundle is no object.")
        for key in cursor.members():
            first, value = cursor.at, cursor.value()
            if key == "resource":
                span, head = (first, cursor.at), head_of(value)
            elif key in ("fullUrl", "request", "response"):
                fields[key] = value
    except Refused as fault:
        if fault.code in ("json_invalid", "line_too_long"):
            raise
        cursor.at = start
        cursor.skip()  # its end is known: the other entries can be used
        return Entry(start, cursor.at, fault=fault)
    return Entry(start, cursor.at, span, head, fields)


def head_of(resource: object) -> dict[str, Any]:
    """resource_type, resource_id, version_id, last_updated and the patient's reference as given; null where not."""
    if not isinstance(resource, dict):
        return {}
    meta = resource.get("meta")
    meta = meta if isinstance(meta, dict) else {}
    given = {
        "resource_type": resource.get("resourceType"), "resource_id": resource.get("id"),
        "version_id": meta.get("versionId"),
    }  # fmt: skip
    told = {name: value if isinstance(value, str) and value else None for name, value in given.items()}
    return {**told, "last_updated": instant(meta.get("lastUpdated")), "patient": patient_of(resource)}


def instant(text: object) -> datetime | None:
    """A FHIR instant; null where it is none."""
    if not isinstance(text, str):
        return None
    try:
        seen = datetime.fromisoformat(text)
    except ValueError:
        return None
    return seen if seen.tzinfo and 1 < seen.year < 9999 else None  # UTC must lie on the calendar too


def told(entry: Entry, targets: dict[str, str]) -> dict[str, Any]:
    """The entry's resource_type, resource_id, version_id, last_updated, patient and is_deleted.

    Where the resource does not say its id, version or time, `fullUrl` and `response` may.

    Raises:
        Refused: it holds nothing that can be kept.
    """
    if entry.fault:
        raise entry.fault
    response = entry.part("response")
    at = instant(response.get("lastModified"))
    if entry.is_deletion:
        found = ONE_RESOURCE.fullmatch(str(entry.part("request").get("url", "")))
        if not found or found[1] == "_history":
            raise Refused("deletion_missing", "A DELETE does not name one resource by its type and id.")
        return {"resource_type": found[1], "resource_id": found[2], "last_updated": at, "is_deleted": True}
    if entry.part("request").get("method") == "PATCH":
        raise Refused("entry_unusable", "A PATCH holds a change, not the resource: send the resource itself.")
    if not entry.head:
        raise Refused("entry_unusable", "The entry holds neither a resource nor a DELETE.")
    if entry.head["resource_type"] == "Bundle":
        raise Refused("entry_unusable", "A Bundle within a Bundle: send the inner one by itself.")
    etag = response.get("etag")
    version = etag.removeprefix("W/").strip('"') if isinstance(etag, str) else None
    key = entry.head["resource_id"] or _id_of(entry)
    patient = key if entry.head["resource_type"] == "Patient" else entry.head["patient"]
    return {
        **entry.head, "resource_id": key, "patient": targets.get(patient or "", patient),
        "version_id": entry.head["version_id"] or version or None,
        "last_updated": entry.head["last_updated"] or at, "is_deleted": False,
    }  # fmt: skip


def _id_of(entry: Entry) -> str | None:
    """The id that a fullUrl tells: a urn's own part, or the end of .../Type/id."""
    urn, url = URN.fullmatch(entry.full_url), ONE_RESOURCE.fullmatch(entry.full_url)
    if urn:
        return urn[1]
    return url[2] if url and entry.head and url[1] == entry.head["resource_type"] else None


def patient_of(resource: dict[str, Any]) -> str | None:
    """The reference to the patient that a resource is of; a Patient is its own."""
    if resource.get("resourceType") == "Patient":
        return resource["id"] if isinstance(resource.get("id"), str) else None
    said = resource.get("subject") or resource.get("patient")
    reference = said.get("reference") if isinstance(said, dict) else None
    return reference if isinstance(reference, str) else None


def key_of(reference: str | None) -> str | None:
    """The id that a reference names: its last word, whatever stands before it or which version it means."""
    found = LAST_WORD.search(reference) if reference else None
    return found[1] if found else None


def texts(text: str, found: list[Entry], targets: dict[str, str]) -> Iterator[str | None]:
    """The text of each entry's resource, references resolved (see `targets_of`); None where there is none."""

    def resolved(match: re.Match[str]) -> str:
        return match[1] + targets.get(match[2], match[2])

    for entry in found:
        if entry.span is None or not entry.head:
            yield None
            continue
        own = text[slice(*entry.span)]
        given = None if entry.head["resource_id"] else _id_of(entry)
        if given and entry.head["resource_type"]:
            own = '{"id":' + json.dumps(given) + "," + own.removeprefix("{")
        yield REFERENCE.sub(resolved, own)


def targets_of(found: list[Entry]) -> dict[str, str]:
    """fullUrl → Type/id; none where two resources claim it, or where the id could break the text."""
    targets: dict[str, str | None] = {}
    for entry in found:
        kind, key = (entry.head or {}).get("resource_type"), (entry.head or {}).get("resource_id")
        if entry.full_url and kind and (key or _id_of(entry)):
            target = f"{kind}/{key or _id_of(entry)}"
            is_clear = targets.setdefault(entry.full_url, target) == target
            targets[entry.full_url] = target if is_clear else None
    return {url: target for url, target in targets.items() if target and PLAIN.fullmatch(target)}
