"""Sources of three formats in one lake, from the files to silver: an HL7 v2 feed, FHIR Bundles, a CSV source nobody has seen.

Three deliveries (tests/deliveries.py): the first; the same again under other names; corrections and deletions. A test
asks for the delivery that it is about, and runs before the next one comes.
"""

from __future__ import annotations

import json
import re

import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from tests.deliveries import Hospital, result
from tests.nights import contents, like_a_night
from tests.tables import assert_rows

from medlake.sources.fhir_bundle import PLACES
from medlake.steps.runner import Options, Runner

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("hospital")]


def test_a_feed_becomes_silver(hospital: Hospital) -> None:
    assert_rows(hospital.of("feed", "silver.measurement"), "measurement_source_value | value_as_number | unit_source_value\n2345-7 | 182.0 | mg/dL")
    assert_rows(hospital.of("feed", "silver.visit_occurrence"), "visit_concept_id\n9201")
    assert_rows(hospital.of("feed", "silver.condition_occurrence"), "condition_source_value | condition_source_vocabulary | qc\nE11 | ICD10CM | []")
    [note] = hospital.of("feed", "silver.note").collect()
    assert note["visit_occurrence_id"] and re.fullmatch(r"Seen by (?!Marisol)[A-Z][a-z]+\.", note["note_text"])
    assert note["n_replaced"] == 1
    assert_rows(hospital.of("feed", "vault.identity"), "person_source_value | family_name | national_id\n70001 | Quenneville | 999-11-2222")
    assert_rows(hospital.of("feed", "quarantine.record"), "row | reason_code | target\n2 | patient_missing | bronze.hl7_message\n3 | type_unknown | bronze.hl7_message")
    assert_rows(hospital.lake.read("bronze.hl7_acknowledgement"), """
        control_id | verdict | error_code
        c1         | AA      | 0
        c2         | AE      | 101
        c3         | AR      | 200
        c4         | AA      | 0
    """)


def test_bundles_become_silver(hospital: Hospital) -> None:
    def of(table: str) -> DataFrame:
        return hospital.of("clinic", f"silver.{table}")

    assert_rows(hospital.of("clinic", "quarantine.record").where("target LIKE 'bronze.%'"), f"""
        file        | row         | reason_code
        person.json | {PLACES + 15} | resource_id_missing
        cut.json    | 1           | json_invalid
    """)
    assert_rows(of("person"), "gender_concept_id | race_concept_id | ethnicity_concept_id | race_source_value\n8532 | 8516 | 0 | Black")
    assert_rows(hospital.of("clinic", "vault.identity"), "person_source_value | family_name | birth_date\np1 | Brackenridge | null")
    [visit] = of("visit_occurrence").collect()
    told = {"condition_occurrence": "condition", "measurement": "measurement", "device_exposure": "device", "specimen": "specimen"}
    have = {t: [r[0] for r in of(t).select(f"{w}_source_value").collect()] for t, w in told.items()}
    assert have == {"condition_occurrence": ["E11"], "measurement": ["8480-6"], "device_exposure": ["pump"], "specimen": ["BLD"]}
    assert_rows(of("condition_occurrence"), f"qc | visit_occurrence_id\n[year_only_condition_start_datetime] | {visit['visit_occurrence_id']}")
    assert_rows(of("drug_exposure"), "drug_source_value | drug_type_concept_id\n860975 | 32838\n860975 | 32818")
    assert_rows(of("observation"), "observation_source_value | value_as_string\nnuts | high")
    [note] = of("note").collect()
    assert re.fullmatch(r"(?!Odalys)[A-Z][a-z]+ has no embolism\.", note["note_text"])
    assert "SN-778899" not in {of("device_exposure").collect()[0]["production_id"]}
    lake = hospital.lake  # no other source has places
    assert_rows(lake.read("silver.location"), "state | zip\nIL | 627")
    [site], [doctor], [place] = (lake.read(f"silver.{t}").collect() for t in ("care_site", "provider", "location"))
    assert (site["place_of_service_source_value"], site["location_id"]) == ("prov", place["location_id"])
    assert (doctor["specialty_source_value"], doctor["gender_concept_id"], doctor["care_site_id"]) == ("394579002", 8507, site["care_site_id"])
    assert_rows(lake.read("ops.fhir_path").where("resource_type = 'Patient' AND path LIKE 'm%' OR path = 'conclusion'"), """
        batch | resource_type    | path                         | n_resources | is_read
        1     | Patient          | maritalStatus.coding.code    | 1           | false
        1     | Patient          | maritalStatus.coding.system  | 1           | false
        1     | Patient          | maritalStatus.coding.display | 1           | false
        1     | DiagnosticReport | conclusion                   | 1           | true
    """)


def test_a_source_that_nobody_has_seen_needs_no_python(hospital: Hospital) -> None:
    people = {(r["gender_concept_id"], r["year_of_birth"]) for r in hospital.of("westside", "silver.person").collect()}
    assert people == {(8507, 1950), (8532, 1981), (0, None)}
    found = hospital.of("westside", "silver.measurement").collect()
    assert [(r["value_as_number"], r["operator"], r["unit_std"]) for r in found] == [(140.5, ">", "mmol/L")]
    codes = {c for r in hospital.of("westside", "quarantine.record").collect() for c in r["reason_codes"]}
    assert codes == {"key_missing", "type_measurement_datetime", "orphan_person"}


def test_a_night_run_again_from_its_start_changes_no_row(spark: SparkSession, hospital: Hospital) -> None:
    """Every step up to silver does its work again; test_golden_night.py has all steps."""
    folder, lake, steps = hospital.folder, hospital.lake, ("ingest", "link", "build")
    options = Options(conf=folder / "conf", lake=lake.root, landing=folder / "landing", from_step="ingest")
    assert Runner(options).steps(*steps) == 0
    assert contents(spark, lake.root) == hospital.held
    last = lake.read("ops.run").orderBy("started_at", ascending=False).limit(len(steps)).collect()
    assert [row["step"] for row in last] == list(reversed(steps))
    assert {row["status"] for row in last} == {"done"} and sum(row["rows_changed"] for row in last) == 0


def test_the_same_under_other_names_changes_nothing(spark: SparkSession, hospital: Hospital) -> None:
    root = hospital.lake.root
    before = contents(spark, root, "bronze", "silver", "quarantine")
    paths = sorted(hospital.lake.read("ops.fhir_path").collect())
    like_a_night(hospital.folder, "ingest")  # nothing came
    landing = hospital.folder / "landing"
    hospital.send("clinic/again.json", (landing / "clinic" / "person.json").read_bytes())
    hospital.send("feed/copy.hl7", (landing / "feed" / "oru.hl7").read_bytes())
    like_a_night(hospital.folder, "ingest")
    after = contents(spark, root, "bronze", "silver", "quarantine")
    assert {name for name in before if before[name] != after[name]} == {"bronze.landing_file"}, "the same content is not read again"
    assert sorted(hospital.lake.read("ops.fhir_path").collect()) == paths
    hospital.send("feed/sent-again.hl7", result("182", "F", "c4", "20240102"))  # the same message, not in the same bytes
    like_a_night(hospital.folder, "ingest", "link", "build")
    after = contents(spark, root, "silver", "quarantine")
    assert after == {name: value for name, value in before.items() if not name.startswith("bronze.")}


@pytest.fixture(scope="module")
def last(hospital: Hospital) -> Hospital:
    deletes = [{"request": {"method": "DELETE", "url": url}} for url in ("Condition/c1", "Specimen/s1")]
    hospital.send("clinic/later.json", json.dumps({"resourceType": "Bundle", "type": "batch", "entry": deletes}, indent=2))
    hospital.send("feed/corrected.hl7", result("128", "C", "c5", "20240103"))
    hospital.send("feed/late.hl7", b"\n" + result("182", "F", "c4", "20240102"))  # what it corrects comes once more
    like_a_night(hospital.folder, "ingest", "link", "build", "audit")
    return hospital


def test_a_correction_replaces(last: Hospital) -> None:
    assert_rows(last.of("feed", "silver.measurement"), "value_as_number\n128.0")
    assert last.of("feed", "silver.condition_occurrence").count() == 1


def test_a_deletion_goes_through(last: Hospital) -> None:
    assert last.of("clinic", "silver.condition_occurrence").count() == last.lake.read("silver.specimen").count() == 0
    assert last.of("clinic", "silver.measurement").count() == 1
    assert last.lake.read("bronze.fhir_resource").where(F.col("is_deleted")).count() == 2


def test_without_surrogates_names_in_notes_are_tags(last: Hospital) -> None:
    last.with_surrogates(False)
    assert Runner(Options(conf=last.folder / "conf", lake=last.lake.root, landing=last.folder / "landing", only="note")).step("build") == 0
    assert_rows(last.of("clinic", "silver.note"), "note_text\n[NAME] has no embolism.")
