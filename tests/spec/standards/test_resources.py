"""FHIR R4: every resource is one that a strict reader of the specification takes, and says what silver says."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fhir.resources.R4B.condition import Condition
from fhir.resources.R4B.imagingstudy import ImagingStudy
from fhir.resources.R4B.observation import Observation
from fhir.resources.R4B.patient import Patient

from medlake.steps import export
from medlake.steps.context import Context

KINDS = {"Patient": Patient, "Condition": Condition, "Observation": Observation, "ImagingStudy": ImagingStudy}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fhir") / "out"


def resources(folder: Path, kind: str) -> dict[str, dict[str, Any]]:
    lines = [line for path in sorted(folder.glob(f"{kind}.*.ndjson")) for line in path.read_text().splitlines()]
    return {resource["id"]: resource for resource in map(json.loads, lines)}


def test_every_resource_is_valid_and_counted(context: Callable[..., Context], folder: Path) -> None:
    ctx = context("fhir", folder)
    counts = export.run(ctx)
    n_valid = 0
    for path in folder.iterdir():
        for line in path.read_text().splitlines():
            KINDS[path.name.partition(".")[0]].model_validate_json(line)
            n_valid += 1
    assert n_valid == counts.kept == 3 + 4 + 4 + 1
    assert all(name.startswith("silver.") for name in ctx.lake.activity.read)


def test_a_resource_without_a_required_element_would_be_noticed() -> None:
    with pytest.raises(ValueError, match="status"):
        Observation.model_validate_json('{"resourceType": "Observation", "code": {"text": "x"}}')


def test_a_patient_has_no_identity(folder: Path) -> None:
    patients = resources(folder, "Patient")
    assert {k: (p["gender"], p.get("birthDate"), p.get("deceasedDateTime")) for k, p in patients.items()} == {
        "1": ("male", "1950", None),
        "2": ("female", None, "2020-04-01T03:00:00Z"),
        "3": ("unknown", "1990", None),
    }
    allowed = {"resourceType", "id", "meta", "gender", "birthDate", "deceasedDateTime"}
    assert all(set(p) <= allowed for p in patients.values())
    assert patients["1"]["meta"]["security"][0]["code"] == "PSEUDED"


def test_conditions_keep_code_name_and_times(folder: Path) -> None:
    conditions = resources(folder, "Condition")
    ended, local = conditions["21"], conditions["23"]
    assert ended["code"]["coding"] == [
        {"system": "http://snomed.info/sct", "code": "44054006", "display": "Diabetes type 2"}
    ]
    assert (ended["onsetDateTime"], ended["abatementDateTime"]) == ("2020-01-02", "2020-01-09")
    assert ended["clinicalStatus"]["coding"][0]["code"] == "resolved"
    assert ended["subject"]["reference"] == "Patient/1"
    assert local["code"]["coding"][0]["system"] == "urn:x-medlake:south"
    assert "clinicalStatus" not in local and "abatementDateTime" not in local


def test_observations_keep_values_as_the_source_gave_them(folder: Path) -> None:
    observations = resources(folder, "Observation")
    assert observations["m-51"]["valueQuantity"] == {"value": 14.0, "unit": "g/dL"}
    assert observations["m-52"]["valueQuantity"] == {"value": 5.0, "comparator": "<", "unit": "furlong"}
    assert observations["m-53"]["valueString"] == "yellow"
    assert observations["m-51"]["effectiveDateTime"] == "2020-01-02T07:30:00Z"
    assert observations["o-61"]["valueString"].endswith("does not hold whole")


def test_a_study_holds_its_series_and_their_instances(folder: Path) -> None:
    (study,) = resources(folder, "ImagingStudy").values()
    assert (study["id"], study["numberOfSeries"], study["numberOfInstances"]) == ("2.25.1", 2, 3)
    axial, other = study["series"]
    assert (axial["modality"]["code"], other["modality"]["code"]) == ("CT", "OT")
    assert [i["uid"] for i in axial["instance"]] == ["2.25.111", "2.25.112"]
    assert axial["instance"][0]["sopClass"]["code"] == "urn:oid:1.2.840.10008.5.1.4.1.1.2"
    assert other["numberOfInstances"] == 1 and "instance" not in other, "a private class is only counted"
