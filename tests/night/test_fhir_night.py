"""FHIR Bundles through ingest, link, build and audit: references hold, what is not read is told, a deletion goes through."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F
from tests.nights import conf_of, contents, like_a_night
from tests.tables import assert_rows

from medlake.doors.lake import Lake
from medlake.sources.fhir_bundle import PLACES

pytestmark = pytest.mark.slow
WHO = "urn:uuid:6761ab26-73e9-ad0b-cec4-56c6edd74762"
VISIT = "urn:uuid:0e1f1a0e-0000-4000-8000-000000000001"


def entry(kind: str, key: str, url: str | None = None, **more: Any) -> dict[str, Any]:
    return {**({"fullUrl": url} if url else {}), "resource": {"resourceType": kind, "id": key, **more}, "request": {"method": "POST", "url": kind}}


def event(kind: str, key: str, **more: Any) -> dict[str, Any]:
    return entry(kind, key, subject={"reference": WHO}, encounter={"reference": VISIT}, **more)


def code(code: str, system: str = "http://loinc.org") -> dict[str, Any]:
    return {"coding": [{"system": system, "code": code, "display": f"name of {code}"}]}


PERSON = [
    entry("Patient", "p1", WHO, birthDate="1950-05", gender="female", name=[{"family": "Quenneville", "given": ["Marisol"]}], maritalStatus=code("M"),
          extension=[{"url": "http://hl7.org/fhir/us/core/StructureDefinition/us-core-race",
                      "extension": [{"url": "ombCategory", "valueCoding": {"code": "2054-5"}}, {"url": "text", "valueString": "Black"}]}]),
    entry("Encounter", "e1", VISIT, subject={"reference": WHO}, **{"class": {"code": "IMP"}}, period={"start": "2024-01-01T08:00:00Z"}),
    event("Observation", "o1", code=code("85354-9"), effectiveDateTime="2024-01-02", component=[{"code": code("8480-6"), "valueQuantity": {"value": 120, "code": "mm[Hg]"}}]),
    event("Condition", "c1", code=code("E11", "http://hl7.org/fhir/sid/icd-10-cm"), onsetDateTime="2019"),
    event("MedicationRequest", "m1", authoredOn="2024-01-02", medicationReference={"reference": "#m"}, contained=[{"resourceType": "Medication", "id": "m", "code": code("860975")}]),
    event("MedicationAdministration", "m1", status="completed", effectiveDateTime="2024-01-02", medicationCodeableConcept=code("860975")),
    event("DiagnosticReport", "d1", code=code("24627-2"), effectiveDateTime="2024-01-03", conclusion="Marisol has no embolism."),
    entry("AllergyIntolerance", "a1", patient={"reference": WHO}, code=code("nuts"), recordedDate="2024-01-02", criticality="high"),
    entry("Device", "v1", patient={"reference": WHO}, type=code("pump"), serialNumber="SN-778899"),
    entry("DeviceUseStatement", "u1", subject={"reference": WHO}, device={"reference": "Device/v1"}, recordedOn="2024-01-02"),
    entry("Specimen", "s1", subject={"reference": WHO}, type=code("BLD"), receivedTime="2024-01-02"),
    entry("Organization", "org", name="House of Healing", type=[code("prov")], address=[{"city": "Springfield", "state": "IL", "postalCode": "62701"}]),
    entry("Practitioner", "doc", gender="male", name=[{"family": "Strangelove"}]),
    entry("PractitionerRole", "role", practitioner={"reference": "Practitioner/doc"}, organization={"reference": "Organization/org"}, specialty=[code("394579002")]),
    {"resource": {"resourceType": "Observation"}},
]  # fmt: skip


def test_bundles_become_silver_and_a_deletion_goes_through(spark: SparkSession, tmp_path: Path) -> None:
    source = conf_of(tmp_path / "conf") / "sources" / "clinic"
    source.mkdir(parents=True)
    (source / "source.toml").write_text('format = "fhir"\n')
    landing = tmp_path / "landing" / "clinic"
    landing.mkdir(parents=True)
    (landing / "person.json").write_text(json.dumps({"resourceType": "Bundle", "type": "transaction", "entry": PERSON}, indent=2))
    (landing / "cut.json").write_text('{"resourceType": "Bundle",\n "entry": [{"resource": {"resourceType": "Patient", "id"')
    like_a_night(tmp_path, "ingest", "link", "build", "audit")
    lake = Lake(spark, tmp_path / "lake")
    assert_rows(lake.read("quarantine.record").where("target LIKE 'bronze.%'"), f"""
        file        | row         | reason_code
        person.json | {PLACES + 15} | resource_id_missing
        cut.json    | 1           | json_invalid
    """)
    assert_rows(lake.read("silver.person"), "gender_concept_id | race_concept_id | ethnicity_concept_id | race_source_value\n8532 | 8516 | 0 | Black")
    assert_rows(lake.read("vault.identity"), "person_source_value | family_name | birth_date\np1 | Quenneville | null")
    [visit] = lake.read("silver.visit_occurrence").collect()
    told = {"condition_occurrence": "condition", "measurement": "measurement", "device_exposure": "device", "specimen": "specimen"}
    have = {t: [r[0] for r in lake.read(f"silver.{t}").select(f"{w}_source_value").collect()] for t, w in told.items()}
    assert have == {"condition_occurrence": ["E11"], "measurement": ["8480-6"], "device_exposure": ["pump"], "specimen": ["BLD"]}
    assert_rows(lake.read("silver.condition_occurrence"), f"qc | visit_occurrence_id\n[year_only_condition_start_datetime] | {visit['visit_occurrence_id']}")
    assert_rows(lake.read("silver.drug_exposure"), "drug_source_value | drug_type_concept_id\n860975 | 32838\n860975 | 32818")
    assert_rows(lake.read("silver.observation"), "observation_source_value | value_as_string\nnuts | high")
    assert_rows(lake.read("silver.note"), "note_text\n[NAME] has no embolism.")
    assert_rows(lake.read("silver.location"), "state | zip\nIL | 627")
    [site], [doctor], [place] = (lake.read(f"silver.{t}").collect() for t in ("care_site", "provider", "location"))
    assert (site["place_of_service_source_value"], site["location_id"]) == ("prov", place["location_id"])
    assert (doctor["specialty_source_value"], doctor["gender_concept_id"], doctor["care_site_id"]) == ("394579002", 8507, site["care_site_id"])
    assert "SN-778899" not in {lake.read("silver.device_exposure").collect()[0]["production_id"]}
    assert_rows(lake.read("ops.fhir_path").where("resource_type = 'Patient' AND path LIKE 'm%' OR path = 'conclusion'"), """
        batch | resource_type    | path                         | n_resources | is_read
        1     | Patient          | maritalStatus.coding.code    | 1           | false
        1     | Patient          | maritalStatus.coding.system  | 1           | false
        1     | Patient          | maritalStatus.coding.display | 1           | false
        1     | DiagnosticReport | conclusion                   | 1           | true
    """)

    before = contents(spark, tmp_path / "lake", "bronze", "silver", "quarantine")
    paths = sorted(lake.read("ops.fhir_path").collect())
    like_a_night(tmp_path, "ingest")
    (landing / "again.json").write_text((landing / "person.json").read_text())
    like_a_night(tmp_path, "ingest")
    after = contents(spark, tmp_path / "lake", "bronze", "silver", "quarantine")
    changed = {name for name in before if before[name] != after[name]}
    assert changed == {"bronze.landing_file"}, "the same content under another name is not read again"
    assert sorted(lake.read("ops.fhir_path").collect()) == paths

    deletes = [{"request": {"method": "DELETE", "url": url}} for url in ("Condition/c1", "Specimen/s1")]
    (landing / "later.json").write_text(json.dumps({"resourceType": "Bundle", "type": "batch", "entry": deletes}, indent=2))
    like_a_night(tmp_path, "ingest", "link", "build", "audit")
    assert lake.read("silver.condition_occurrence").count() == lake.read("silver.specimen").count() == 0
    assert lake.read("silver.measurement").count() == 1
    assert lake.read("bronze.fhir_resource").where(F.col("is_deleted")).count() == 2
