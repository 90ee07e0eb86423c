"""FHIR R4 bulk NDJSON → bronze.fhir_resource: one resource a line, the text kept as received.

Lines are parsed deliberately: Spark's JSON reader keeps the last of two equal keys, drops a second
object on a line and turns numbers it cannot hold into others, all without a word.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from pyspark.sql import DataFrame
from pyspark.sql import types as T

from medlake.sources.quick_json import quick_object
from medlake.sources.reading import Refused, digest, lines, per_file, refused

LONGEST_INTEGER = 400  # digits; a double ends at 1.8e308
BOM = b"\xef\xbb\xbf"
PAYLOAD = [
    T.StructField("resource_type", T.StringType(), True),
    T.StructField("resource_id", T.StringType(), True),
    T.StructField("version_id", T.StringType(), True),
    T.StructField("last_updated", T.TimestampType(), True),
    T.StructField("json", T.StringType(), True),
    T.StructField("is_deleted", T.BooleanType(), True),
]


def read_resources(files: DataFrame, *, max_line_bytes: int) -> DataFrame:
    """One row per resource, or per deletion (`deleted/` files hold Bundles of DELETE requests)."""

    def read(file: dict[str, Any]) -> Iterator[dict[str, Any]]:
        for number, line in lines(file["uri"], max_bytes=max_line_bytes):
            if number == 1:
                line = line.removeprefix(BOM)
            if line.strip():
                yield from _line(number, line, max_line_bytes, is_deletion=file["is_deletion"])

    return per_file(files, read, PAYLOAD)


def _line(number: int, line: bytes, max_bytes: int, *, is_deletion: bool) -> Iterator[dict[str, Any]]:
    if len(line) > max_bytes:
        yield refused(
            number, line[:1024], "line_too_long", f"Longer than {max_bytes} bytes; its start is kept."
        )
        return
    try:
        resource = parse(line)
        found = _deletions(resource) if is_deletion else [_resource(resource)]
    except Refused as fault:
        yield refused(number, line, fault.code, fault.detail)
        return
    seen = digest(line)
    for place, row in enumerate(found):
        text = None if is_deletion else line.decode("utf-8")
        yield {
            "row": number * 10_000 + place if is_deletion else number,
            "source_table": row["resource_type"], "row_hash": seen, "json": text, "is_deleted": is_deletion, **row,
        }  # fmt: skip


def parse(line: bytes) -> dict[str, Any]:
    """The one JSON object of a line.

    Raises:
        Refused: with the code that says what is wrong with the text.
    """
    quick = quick_object(line)
    if quick is not None:
        return quick
    if b"\x00" in line:
        raise Refused("nul_byte", "A NUL byte stands in the text.")
    try:
        text = line.decode("utf-8")
    except UnicodeDecodeError as fault:
        raise Refused("encoding", f"Byte {fault.start} is not valid UTF-8.") from fault
    try:
        value = json.loads(text, **STRICT)
    except json.JSONDecodeError as fault:
        if fault.msg == "Extra data":
            raise Refused("json_trailing", "Something follows the object on its line.") from fault
        raise Refused("json_invalid", f"Not JSON at character {fault.pos}: cut off or damaged.") from fault
    except RecursionError as fault:
        raise Refused("json_invalid", "Nested too deeply.") from fault
    if not isinstance(value, dict):
        raise Refused("json_not_object", "The line holds JSON, but no object.")
    return value


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise Refused("json_duplicate_key", "A key stands twice in one object.")
    return value


def _no_constant(name: str) -> float:
    raise Refused("json_not_finite", f"{name} is no JSON number.")


def _finite(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise Refused("json_not_finite", "A number is too large to be held.")
    return value


def _bounded(text: str) -> int:
    if len(text) > LONGEST_INTEGER:
        raise Refused("json_not_finite", "A number is too large to be held.")
    return int(text)


STRICT: dict[str, Any] = {
    "object_pairs_hook": _once, "parse_constant": _no_constant, "parse_float": _finite, "parse_int": _bounded
}  # fmt: skip


def _resource(resource: dict[str, Any]) -> dict[str, Any]:
    kind, key = resource.get("resourceType"), resource.get("id")
    if not isinstance(kind, str) or not kind:
        raise Refused("resource_type_missing", "The resource does not say its resourceType.")
    if not isinstance(key, str) or not key:
        raise Refused("resource_id_missing", "The resource has no id.")
    meta = resource.get("meta") if isinstance(resource.get("meta"), dict) else {}
    assert isinstance(meta, dict)
    version = meta.get("versionId")
    return {
        "resource_type": kind, "resource_id": key,
        "version_id": version if isinstance(version, str) else None,
        "last_updated": _instant(meta.get("lastUpdated")),
    }  # fmt: skip


def _deletions(bundle: dict[str, Any]) -> list[dict[str, Any]]:
    found = []
    entries = bundle.get("entry")
    for entry in entries if isinstance(entries, list) else []:
        request = entry.get("request", {}) if isinstance(entry, dict) else {}
        if not isinstance(request, dict):
            continue
        kind, _, key = str(request.get("url", "")).partition("/")
        if request.get("method") == "DELETE" and kind and key:
            found.append({"resource_type": kind, "resource_id": key})
    if not found:
        raise Refused("deletion_missing", "A file under deleted/ must hold Bundles of DELETE requests.")
    return found


def _instant(text: object) -> datetime | None:
    if not isinstance(text, str):
        return None
    try:
        seen = datetime.fromisoformat(text)
    except ValueError:
        return None
    return seen if seen.tzinfo and 1 < seen.year < 9999 else None  # UTC must lie on the calendar too
