"""Bundles and documents: every entry reaches bronze as its own text, or quarantine whole; none is lost, none doubled."""

from __future__ import annotations

import gzip
import json
import resource
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from fhir.resources.bundle import Bundle
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.files import Files, file_row
from tests.shared import shared_samples

from medlake.sources.fhir import read_resources
from medlake.sources.fhir_bundle import PLACES

LINE, DOCUMENT = 20_000, 60_000  # bytes
UUID = "urn:uuid:6761ab26-73e9-ad0b-cec4-56c6edd74762"


def read(folder: Path, data: bytes | str | dict[str, Any], name: str = "b.json", **more: Any) -> list[dict[str, Any]]:
    """The records of one file."""
    path = folder / name
    text = json.dumps(data) if isinstance(data, dict) else data
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    limits = {"max_line_bytes": LINE, "max_document_bytes": DOCUMENT, **more.pop("limits", {})}
    files: Any = Files([file_row(path, "north", "fhir", **more)])
    rows: Any = read_resources(files, **limits)
    return list(rows)


def bundle(*entries: Any, kind: str = "collection") -> dict[str, Any]:
    return {"resourceType": "Bundle", "type": kind, "entry": list(entries)}


def entry(kind: str, key: str | None = "1", **more: Any) -> dict[str, Any]:
    own = {"resourceType": kind, **({"id": key} if key else {})}
    parts = {name: more.pop(name) for name in ("fullUrl", "request", "response") if name in more}
    return {**parts, "resource": {**own, **more}}


def told(rows: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    return [(r["row"] % PLACES, r["resource_type"], r["resource_id"], r["is_deleted"], r["reason_code"]) for r in rows]


@pytest.mark.parametrize("kind", ["collection", "batch", "transaction", "searchset", "history", "document"])
def test_each_entry_of_a_bundle_of_any_kind_is_one_record(tmp_path: Path, kind: str) -> None:
    rows = read(tmp_path, bundle(entry("Patient", "p"), entry("Flag", "f"), kind=kind))
    assert told(rows) == [(1, "Patient", "p", False, None), (2, "Flag", "f", False, None)]
    assert [json.loads(r["json"])["id"] for r in rows] == ["p", "f"]
    assert [r["source_table"] for r in rows] == ["Patient", "Flag"]


FORMS = {
    "one_line.json": lambda text: text.encode(),
    "pretty.json": lambda text: json.dumps(json.loads(text), indent=2).encode(),
    "windows.json": lambda text: b"\xef\xbb\xbf" + json.dumps(json.loads(text), indent=2).replace("\n", "\r\n").encode(),
    "packed.json.gz": lambda text: gzip.compress(json.dumps(json.loads(text), indent=2).encode()),
    "line.ndjson": lambda text: text.encode() + b"\n",
}


@pytest.mark.parametrize("name", FORMS)
def test_a_bundle_reads_alike_in_every_form(tmp_path: Path, name: str) -> None:
    whole = bundle(entry("Patient", "p", birthDate="1950"), entry("Condition", "c"))
    rows = read(tmp_path, FORMS[name](json.dumps(whole)), name)
    assert told(rows) == [(1, "Patient", "p", False, None), (2, "Condition", "c", False, None)]
    assert [json.loads(r["json"]) for r in rows] == [e["resource"] for e in whole["entry"]]


def test_a_single_resource_over_many_lines_is_one_record(tmp_path: Path) -> None:
    text = json.dumps({"resourceType": "Patient", "id": "p", "meta": {"versionId": "3"}}, indent=4)
    (row,) = read(tmp_path, text, "patient.json")
    assert (row["row"], row["resource_id"], row["version_id"], row["json"]) == (1, "p", "3", text)


def test_ndjson_that_is_called_json_is_read_by_line(tmp_path: Path) -> None:
    lines = [json.dumps(entry("Patient", "a")["resource"]), "", json.dumps(bundle(entry("Flag", "f"))), "{broken"]
    rows = read(tmp_path, "\n".join(lines), "export.json")
    assert [(r["row"], r["resource_id"], r["reason_code"]) for r in rows] == [
        (1, "a", None), (3 * PLACES + 1, "f", None), (4, None, "json_invalid"),
    ]  # fmt: skip


def test_references_within_a_bundle_become_the_resources_own_type_and_id(tmp_path: Path) -> None:
    other = "http://old.example/fhir/Encounter/9"
    rows = read(tmp_path, bundle(
        entry("Condition", "c", subject={"reference": UUID}, encounter={"reference": other}, asserter={"reference": "urn:uuid:not-here"}),
        entry("Patient", "p", fullUrl=UUID),
        entry("Encounter", "e", fullUrl=other, text={"div": f'"reference": "{UUID}"'}),
        kind="transaction",
    ))  # fmt: skip
    condition, _, encounter = (json.loads(r["json"]) for r in rows)
    assert condition["subject"] == {"reference": "Patient/p"}
    assert condition["encounter"] == {"reference": "Encounter/e"}
    assert condition["asserter"] == {"reference": "urn:uuid:not-here"}
    assert [r["patient_key"] for r in rows] == ["p", "p", None]
    assert encounter["text"]["div"] == f'"reference": "{UUID}"', "a text that looks like a reference is none"


def test_a_resource_without_id_has_the_one_that_its_full_url_tells(tmp_path: Path) -> None:
    rows = read(tmp_path, bundle(
        entry("Patient", None, fullUrl=UUID), entry("Condition", None, fullUrl="http://x.example/Condition/7", subject={"reference": UUID}),
        entry("Flag", None), kind="transaction",
    ))  # fmt: skip
    key = UUID.removeprefix("urn:uuid:")
    assert told(rows) == [(1, "Patient", key, False, None), (2, "Condition", "7", False, None), (3, None, None, None, "resource_id_missing")]
    assert json.loads(rows[0]["json"]) == {"id": key, "resourceType": "Patient"}
    assert json.loads(rows[1]["json"])["subject"] == {"reference": f"Patient/{key}"}


def test_a_full_url_that_two_resources_claim_resolves_to_neither(tmp_path: Path) -> None:
    rows = read(tmp_path, bundle(entry("Patient", "a", fullUrl=UUID), entry("Patient", "b", fullUrl=UUID), entry("Flag", "f", subject={"reference": UUID})))
    assert json.loads(rows[2]["json"])["subject"] == {"reference": UUID}


def test_an_entry_that_asks_for_delete_is_a_deletion(tmp_path: Path) -> None:
    rows = read(tmp_path, bundle(
        entry("Patient", "p", meta={"lastUpdated": "2024-01-01T00:00:00Z"}),
        {"request": {"method": "DELETE", "url": "Observation/o1"}, "response": {"lastModified": "2024-02-01T00:00:00Z"}},
        {"request": {"method": "DELETE", "url": "http://x.example/fhir/Flag/f1"}},
        {"request": {"method": "DELETE", "url": "Observation?status=final"}},
        kind="history",
    ))  # fmt: skip
    assert told(rows) == [
        (1, "Patient", "p", False, None), (2, "Observation", "o1", True, None), (3, "Flag", "f1", True, None),
        (4, None, None, None, "deletion_missing"),
    ]  # fmt: skip
    assert [r["json"] is None for r in rows[:3]] == [False, True, True]
    assert [r["last_updated"] and r["last_updated"].month for r in rows[:3]] == [1, 2, None]


def test_below_deleted_there_is_nothing_but_deletions(tmp_path: Path) -> None:
    deletes = {"request": {"method": "DELETE", "url": "Patient/p"}}
    assert told(read(tmp_path, bundle(deletes, entry("Patient", "q")), is_deletion=True)) == [
        (1, "Patient", "p", True, None), (2, None, None, None, "deletion_missing"),
    ]  # fmt: skip
    assert [r["reason_code"] for r in read(tmp_path, entry("Patient", "p")["resource"], is_deletion=True)] == ["deletion_missing"]


def test_what_a_history_says_of_version_and_time_counts_where_the_resource_is_silent(tmp_path: Path) -> None:
    (row,) = read(tmp_path, bundle(entry("Patient", "p", response={"etag": 'W/"4"', "lastModified": "2024-05-01T10:00:00Z"}), kind="history"))
    assert (row["version_id"], row["last_updated"].isoformat()) == ("4", "2024-05-01T10:00:00+00:00")


BROKEN = {
    "not an object": (7, "entry_unusable"),
    "nothing in it": ({"fullUrl": UUID}, "entry_unusable"),
    "a search": ({"request": {"method": "GET", "url": "Patient"}}, "entry_unusable"),
    "a patch": ({"request": {"method": "PATCH", "url": "Patient/1"}, "resource": {"resourceType": "Parameters", "id": "x"}}, "entry_unusable"),
    "a bundle": ({"resource": bundle(entry("Patient"))}, "entry_unusable"),
    "no type": ({"resource": {"id": "1"}}, "resource_type_missing"),
    "no resource": ({"resource": 1}, "entry_unusable"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_entry_is_set_aside_whole_and_the_others_are_kept(tmp_path: Path, case: str) -> None:
    bad, code = BROKEN[case]
    rows = read(tmp_path, json.dumps(bundle(entry("Patient", "a"), bad, entry("Patient", "b")), indent=1))
    assert [(r["row"], r["resource_id"], r["reason_code"]) for r in rows] == [(PLACES + 1, "a", None), (PLACES + 2, None, code), (PLACES + 3, "b", None)]
    assert json.loads(rows[1]["raw"]) == bad
    assert rows[1]["detail"].startswith("Entry 2 of the Bundle on line 1: ")


@pytest.mark.parametrize(
    ("entry_text", "code"),
    [('{"resource":{"resourceType":"A","id":"1","id":"2"}}', "json_duplicate_key"), ('{"resource":{"resourceType":"A","v":NaN}}', "json_not_finite")],
)
def test_an_entry_that_is_no_strict_json_is_set_aside_by_itself(tmp_path: Path, entry_text: str, code: str) -> None:
    good = json.dumps(entry("Patient", "a"))
    rows = read(tmp_path, f'{{"resourceType":"Bundle","entry":[{entry_text},{good}]}}')
    assert told(rows) == [(1, None, None, None, code), (2, "Patient", "a", False, None)]
    assert rows[0]["raw"] == entry_text


WHOLE = json.dumps(bundle(entry("Patient", "a"), entry("Patient", "b")), indent=1)
SPOILED = {
    "cut": (WHOLE[:-20], "json_invalid"),
    "more behind it": (WHOLE + "{}", "json_trailing"),
    "a comma too many": (WHOLE.replace("\n ]", ",\n ]"), "json_invalid"),
    "a key twice": (WHOLE.replace("{", '{"type":"x",', 1), "json_duplicate_key"),
    "no entry": ('{"resourceType":"Bundle",\n"entry":[]}', "bundle_empty"),
    "entry is no list": ('{"resourceType":"Bundle",\n"entry":{}}', "bundle_empty"),
    "a list": (f"[{WHOLE}]", "json_not_object"),
    "nul": (WHOLE + "\x00", "nul_byte"),
    "deep": ('{"resourceType":"Bundle",\n"entry":[' + "[" * 15_000, "json_invalid"),
}


@pytest.mark.parametrize("case", SPOILED)
def test_a_broken_bundle_is_set_aside_whole_with_its_place(tmp_path: Path, case: str) -> None:
    text, code = SPOILED[case]
    (row,) = read(tmp_path, text)
    assert (row["row"], row["file"], row["reason_code"], row["json"]) == (1, "b.json", code, None)
    assert row["raw"] == text.replace("\x00", "\\x00")


def test_a_document_beyond_the_limit_is_refused_with_a_number(tmp_path: Path) -> None:
    text = json.dumps(bundle(*[entry("Patient", str(n), x="y" * 500) for n in range(200)]), indent=1)
    (row,) = read(tmp_path, gzip.compress(text.encode()), "big.json.gz")
    assert (row["reason_code"], row["raw"]) == ("document_too_long", text[:1024])
    assert str(DOCUMENT) in row["detail"]


def test_a_value_beyond_the_limit_of_a_line_is_refused(tmp_path: Path) -> None:
    text = json.dumps(bundle(entry("Patient", "a", x="y" * (LINE + 10))), indent=1)
    assert [r["reason_code"] for r in read(tmp_path, text)] == ["line_too_long"]
    alone = json.dumps({"resourceType": "Patient", "id": "a", "x": "y" * (LINE + 10)}, indent=1)
    assert [r["reason_code"] for r in read(tmp_path, alone)] == ["document_too_long"]


def test_a_hostile_document_does_not_fill_the_memory(tmp_path: Path) -> None:
    """15 MB of empty lists would be 320 MB of Python objects."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    text = '{"resourceType":"Bundle",\n"entry":[{"resource":{"x":[' + "[]," * 5_000_000
    limits = {"max_line_bytes": 1 << 20, "max_document_bytes": 16 << 20}
    (row,) = read(tmp_path, text, limits=limits)
    assert row["reason_code"] == "line_too_long"
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200 * 1024


def test_numbers_keep_every_digit(tmp_path: Path) -> None:
    text = '{"resourceType":"Bundle","entry":[{"resource":{"resourceType":"Observation","id":"o","valueQuantity":{"value":1.50}}}]}'
    (row,) = read(tmp_path, text)
    assert '"value":1.50}' in row["json"]


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**12), 10**12) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.dictionaries(st.text(min_size=1, max_size=8), VALUES, max_size=5), min_size=1, max_size=5), st.sampled_from([None, 1, "\t"]), st.booleans())
def test_whatever_stands_in_a_bundle_comes_out_as_it_went_in(tmp_path_factory: pytest.TempPathFactory, bodies: list[dict[str, Any]], indent: Any, escape: bool) -> None:
    resources = [{**body, "resourceType": "Basic", "id": f"r{n}"} for n, body in enumerate(bodies)]
    whole = bundle(*[{"fullUrl": f"urn:uuid:{n}", "resource": r} for n, r in enumerate(resources)])
    rows = read(tmp_path_factory.mktemp("b"), json.dumps(whole, indent=indent, ensure_ascii=escape))
    assert [json.loads(r["json"]) for r in rows] == resources
    assert [r["row"] for r in rows] == [PLACES + n for n in range(1, len(bodies) + 1)]


def test_a_bundle_of_the_reference_library_is_read(tmp_path: Path) -> None:
    made = Bundle.model_validate({
        "resourceType": "Bundle", "type": "transaction", "entry": [
            {"fullUrl": UUID, "resource": {"resourceType": "Patient", "id": "p", "birthDate": "1950-05"}, "request": {"method": "PUT", "url": "Patient/p"}},
            {"resource": {"resourceType": "Observation", "id": "o", "status": "final", "code": {"text": "x"}, "subject": {"reference": UUID},
                          "valueQuantity": {"value": Decimal("7.10")}}, "request": {"method": "POST", "url": "Observation"}},
        ],
    })  # fmt: skip
    rows = read(tmp_path, made.model_dump_json(indent=2))
    assert told(rows) == [(1, "Patient", "p", False, None), (2, "Observation", "o", False, None)]
    assert json.loads(rows[1]["json"])["subject"] == {"reference": "Patient/p"}


def test_the_public_bundles_lose_no_entry(tmp_path: Path) -> None:
    folder = shared_samples("synthea-multi") / "synthea-multi" / "fhir"
    for path in sorted(folder.glob("*.json")):
        whole = json.loads(path.read_bytes())["entry"]
        limits = {"max_line_bytes": 16 << 20, "max_document_bytes": 64 << 20}
        rows = read(tmp_path, path.read_bytes(), path.name, limits=limits)
        assert [(r["resource_type"], r["resource_id"]) for r in rows] == [(e["resource"]["resourceType"], e["resource"]["id"]) for e in whole]
        left = {t for r in rows for t in json.loads(r["json"]).get("subject", {}).values() if t.startswith("urn:")}
        assert not left, "the patient is in the Bundle"
