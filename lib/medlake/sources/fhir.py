"""FHIR R4 NDJSON, Bundles and single resources → bronze.fhir_resource: each resource's text as received.

Texts are parsed deliberately: Spark's JSON reader keeps the last of two equal keys, drops a second
object on a line and turns numbers it cannot hold into others, all without a word.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from pyspark.sql import DataFrame
from pyspark.sql import types as T

from medlake.sources.fhir_bundle import PLACES, Entry, entries, head_of, key_of, targets_of, texts, told
from medlake.sources.quick_json import quick_object
from medlake.sources.reading import BOM, Refused, digest, lines, opened, per_file, refused, text_of
from medlake.sources.strict_json import STRICT

DOCUMENT = re.compile(r"\.json(\.gz)?$", re.IGNORECASE)
PAYLOAD = [
    T.StructField("resource_type", T.StringType(), True),
    T.StructField("resource_id", T.StringType(), True),
    T.StructField("version_id", T.StringType(), True),
    T.StructField("last_updated", T.TimestampType(), True),
    T.StructField("json", T.StringType(), True),
    T.StructField("is_deleted", T.BooleanType(), True),
    T.StructField("patient_key", T.StringType(), True),
]


def read_resources(files: DataFrame, *, max_line_bytes: int, max_document_bytes: int) -> DataFrame:
    """One row per resource or deletion: of a line, of an entry of a Bundle, or of a whole .json file.

    A Bundle may be a line of NDJSON or a file of its own. A file named .json whose first line is no whole object is
    one document: it is read whole, up to `max_document_bytes`. A deletion is an entry that asks for DELETE; files
    below deleted/ hold nothing else.
    """

    def read(file: dict[str, Any]) -> Iterator[dict[str, Any]]:
        if DOCUMENT.search(file["file"]) and not _is_by_line(file["uri"], max_line_bytes):
            with opened(file["uri"]) as handle:
                whole = handle.read(max_document_bytes + 1)
            if len(whole) > max_document_bytes:
                said = f"The document is longer than {max_document_bytes} bytes; its start is kept."
                yield refused(1, whole[:1024], "document_too_long", said)
            else:
                yield from _taken(1, whole.removeprefix(BOM), max_line_bytes, in_deleted=file["is_deletion"])
            return
        is_blank = True
        for number, line in lines(file["uri"], max_bytes=max_line_bytes):
            is_blank = is_blank and not line.strip()
            if len(line) > max_line_bytes:
                said = f"Longer than {max_line_bytes} bytes; its start is kept."
                yield refused(number, line[:1024], "line_too_long", said)
            elif line.strip():
                yield from _taken(number, line, max_line_bytes, in_deleted=file["is_deletion"])
        if is_blank:
            raise Refused("file_empty", "The file holds nothing but blanks.")

    return per_file(files, read, PAYLOAD)


def _is_by_line(uri: str, max_line_bytes: int) -> bool:
    """Whether a .json file is NDJSON by another name: its first line that is not blank is JSON by itself."""
    for _, line in lines(uri, max_bytes=max_line_bytes):
        if line.strip():
            try:
                parse(line)
            except Refused as fault:
                return fault.code not in ("json_invalid", "encoding", "nul_byte")
            return len(line) <= max_line_bytes
    return True


def _taken(number: int, data: bytes, longest: int, *, in_deleted: bool) -> Iterator[dict[str, Any]]:
    """The rows of one JSON text, which starts on line `number`."""
    try:
        found = entries(text_of(data), longest) if b'"Bundle"' in data else None
        if in_deleted and not found:
            raise Refused("deletion_missing", "A file under deleted/ must hold Bundles of DELETE requests.")
        if found is None and len(data) > longest:
            raise Refused("document_too_long", f"One resource is longer than {longest} bytes.")
        if found is None:
            resource = _kept(head_of(parse(data)))
            yield {
                "row": number, "row_hash": digest(data), "json": data.decode(), "is_deleted": False, **resource
            }  # fmt: skip
            return
        if not found:
            raise Refused("bundle_empty", "The Bundle has no entry.")
    except Refused as fault:
        yield refused(number, data, fault.code, fault.detail)
        return
    yield from _of_bundle(number, data.decode(), found, in_deleted=in_deleted)


def _of_bundle(number: int, text: str, found: list[Entry], *, in_deleted: bool) -> Iterator[dict[str, Any]]:
    targets = targets_of(found)
    for place, (entry, own) in enumerate(zip(found, texts(text, found, targets), strict=True), start=1):
        row = number * PLACES + place
        whole = text[entry.start : entry.end].encode()
        try:
            given = told(entry, targets)
            if in_deleted and not given["is_deleted"]:
                raise Refused("deletion_missing", "A file under deleted/ must hold Bundles of DELETE requests.")
            kept = _kept(given)
        except Refused as fault:
            said = f"Entry {place} of the Bundle on line {number}: {fault.detail}"
            yield refused(row, whole, fault.code, said)
        else:
            yield {"row": row, "row_hash": digest(whole), "json": None if kept["is_deleted"] else own, **kept}


def parse(line: bytes) -> dict[str, Any]:
    """The one JSON object of a line.

    Raises:
        Refused: with the code that says what is wrong with the text.
    """
    quick = quick_object(line)
    if quick is not None:
        return quick
    text = text_of(line)
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


def _kept(given: dict[str, Any]) -> dict[str, Any]:
    """What a resource tells of itself, complete.

    Raises:
        Refused: it cannot be kept.
    """
    if not given.get("resource_type"):
        raise Refused("resource_type_missing", "The resource does not say its resourceType.")
    if not given["resource_id"]:
        raise Refused("resource_id_missing", "The resource has no id.")
    patient = given.get("patient")
    return {**given, "source_table": given["resource_type"], "patient_key": key_of(patient)}
