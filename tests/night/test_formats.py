"""Sources of three formats in one lake, from the files to silver: an HL7 v2 feed, FHIR Bundles, a CSV source nobody has seen.

Three deliveries: the first; the same again under other names; corrections and deletions. A test asks for the delivery
that it is about, and runs before the next one comes.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from tests.nights import conf_of, contents, like_a_night
from tests.tables import assert_rows

from medlake.doors.lake import Lake
from medlake.sources.fhir_bundle import PLACES
from medlake.steps.runner import Options, Runner

pytestmark = pytest.mark.slow
PID = "PID|1||70001^^^HOSP^MR~999-11-2222^^^SSA^SS||Quenneville^Marisol||19700102|F|||12 Elm Street^^Springfield^IL^62701||217-555-0142"
PV1 = "PV1|1|I|||||||||||||||||V1|||||||||||||||||||||||||20240101080000"


def message(kind: str, control: str, *segments: str, at: str = "20240105120000") -> bytes:
    return "\r".join([f"MSH|^~\\&|S|H|L|H|{at}||{kind}|{control}|P|2.5.1", *segments, ""]).encode()


def result(value: str, status: str, control: str, at: str) -> bytes:
    obx = f"OBX|1|NM|2345-7^Glucose^LN||{value}|mg/dL|||||{status}|||20240102080000"
    return message("ORU^R01", control, PID, PV1, "OBR|1||F1|24320-4^Panel^LN|||20240102080000", obx, "OBX|2|TX|R^Report||Seen by Marisol.", at=at)


WHO = "urn:uuid:6761ab26-73e9-ad0b-cec4-56c6edd74762"
VISIT = "urn:uuid:0e1f1a0e-0000-4000-8000-000000000001"


def entry(kind: str, key: str, url: str | None = None, **more: Any) -> dict[str, Any]:
    return {**({"fullUrl": url} if url else {}), "resource": {"resourceType": kind, "id": key, **more}, "request": {"method": "POST", "url": kind}}


def event(kind: str, key: str, **more: Any) -> dict[str, Any]:
    return entry(kind, key, subject={"reference": WHO}, encounter={"reference": VISIT}, **more)


def code(code: str, system: str = "http://loinc.org") -> dict[str, Any]:
    return {"coding": [{"system": system, "code": code, "display": f"name of {code}"}]}


PERSON = [
    entry("Patient", "p1", WHO, birthDate="1950-05", gender="female", name=[{"family": "Brackenridge", "given": ["Odalys"]}], maritalStatus=code("M"),
          extension=[{"url": "http://hl7.org/fhir/us/core/StructureDefinition/us-core-race",
                      "extension": [{"url": "ombCategory", "valueCoding": {"code": "2054-5"}}, {"url": "text", "valueString": "Black"}]}]),
    entry("Encounter", "e1", VISIT, subject={"reference": WHO}, **{"class": {"code": "IMP"}}, period={"start": "2024-01-01T08:00:00Z"}),
    event("Observation", "o1", code=code("85354-9"), effectiveDateTime="2024-01-02", component=[{"code": code("8480-6"), "valueQuantity": {"value": 120, "code": "mm[Hg]"}}]),
    event("Condition", "c1", code=code("E11", "http://hl7.org/fhir/sid/icd-10-cm"), onsetDateTime="2019"),
    event("MedicationRequest", "m1", authoredOn="2024-01-02", medicationReference={"reference": "#m"}, contained=[{"resourceType": "Medication", "id": "m", "code": code("860975")}]),
    event("MedicationAdministration", "m1", status="completed", effectiveDateTime="2024-01-02", medicationCodeableConcept=code("860975")),
    event("DiagnosticReport", "d1", code=code("24627-2"), effectiveDateTime="2024-01-03", conclusion="Odalys has no embolism."),
    entry("AllergyIntolerance", "a1", patient={"reference": WHO}, code=code("nuts"), recordedDate="2024-01-02", criticality="high"),
    entry("Device", "v1", patient={"reference": WHO}, type=code("pump"), serialNumber="SN-778899"),
    entry("DeviceUseStatement", "u1", subject={"reference": WHO}, device={"reference": "Device/v1"}, recordedOn="2024-01-02"),
    entry("Specimen", "s1", subject={"reference": WHO}, type=code("BLD"), receivedTime="2024-01-02"),
    entry("Organization", "org", name="House of Healing", type=[code("prov")], address=[{"city": "Springfield", "state": "IL", "postalCode": "62701"}]),
    entry("Practitioner", "doc", gender="male", name=[{"family": "Strangelove"}]),
    entry("PractitionerRole", "role", practitioner={"reference": "Practitioner/doc"}, organization={"reference": "Organization/org"}, specialty=[code("394579002")]),
    {"resource": {"resourceType": "Observation"}},
]  # fmt: skip

SOURCE = '[table.leute]\nfiles = "leute*.csv"\nseparator = ";"\nkey = ["pid"]\n\n[table.befunde]\nfiles = "befunde*.tsv"\n'
PEOPLE = """SELECT pid AS person_source_value,
       CASE geschl WHEN 'M' THEN 8507 WHEN 'W' THEN 8532 ELSE 0 END AS gender_concept_id,
       year(try_to_date(geb, 'yyyy-MM-dd')) AS year_of_birth
FROM leute
"""
RESULTS = """SELECT wer AS person_source_value, code AS measurement_source_value, tag AS measurement_datetime,
       wert AS value_source_value, einheit AS unit_source_value FROM befunde
"""


class Home:
    """A lake and its landing folder: `feed` speaks HL7, `clinic` FHIR, `westside` sends tables with names of its own."""

    def __init__(self, folder: Path, spark: SparkSession) -> None:
        self.folder, self.lake = folder, Lake(spark, folder / "lake")
        conf_of(folder / "conf", '[privacy]\nnotes = "surrogates"\n')
        self.declare("feed", "source.toml", 'format = "hl7"\n')
        self.declare("clinic", "source.toml", 'format = "fhir"\n')

    def declare(self, source: str, file: str, text: str) -> None:
        path = self.folder / "conf" / "sources" / source / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def send(self, file: str, said: str | bytes) -> None:
        path = self.folder / "landing" / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(said if isinstance(said, bytes) else said.encode())

    def of(self, source: str, table: str) -> DataFrame:
        """The rows of a table that came from one source."""
        return self.lake.read(table).where(F.col("source") == source)


@pytest.fixture(scope="module")
def first(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Home:
    home = Home(tmp_path_factory.mktemp("formats"), spark)
    admit = message("ADT^A01", "c1", "EVN|A01|20240101080000", PID, PV1, "DG1|1||E11^Diabetes^I10C||20240101|A")
    home.send("feed/adt.hl7", admit + message("ADT^A01", "c2", "EVN|A01", "PID|1||||Nobody") + message("ORM^O01", "c3", PID))
    home.send("feed/oru.hl7", b"\x0b" + result("182", "F", "c4", "20240102") + b"\x1c\r")
    home.send("clinic/person.json", json.dumps({"resourceType": "Bundle", "type": "transaction", "entry": PERSON}, indent=2))
    home.send("clinic/cut.json", '{"resourceType": "Bundle",\n "entry": [{"resource": {"resourceType": "Patient", "id"')
    home.declare("westside", "source.toml", SOURCE)
    home.declare("westside", "person.sql", PEOPLE)
    home.declare("westside", "measurement.sql", RESULTS)
    home.send("westside/leute1.csv", "pid;geschl;geb\n1;M;1950-03-01\n2;W;1981-07-12\n3;X;\n;M;1990-01-01\n")
    home.send("westside/befunde.tsv", "wer\tcode\ttag\twert\teinheit\n1\tna\t2024-01-02\t>140,5\tmmol/L\n2\tna\t2024-02-30\t139\tmmol/L\n9\tna\t2024-01-02\t139\tmmol/L\n")
    like_a_night(home.folder, "ingest", "link", "build", "audit")
    return home


def test_a_feed_becomes_silver(first: Home) -> None:
    assert_rows(first.of("feed", "silver.measurement"), "measurement_source_value | value_as_number | unit_source_value\n2345-7 | 182.0 | mg/dL")
    assert_rows(first.of("feed", "silver.visit_occurrence"), "visit_concept_id\n9201")
    assert_rows(first.of("feed", "silver.condition_occurrence"), "condition_source_value | condition_source_vocabulary | qc\nE11 | ICD10CM | []")
    [note] = first.of("feed", "silver.note").collect()
    assert note["visit_occurrence_id"] and re.fullmatch(r"Seen by (?!Marisol)[A-Z][a-z]+\.", note["note_text"])
    assert note["n_replaced"] == 1
    assert_rows(first.of("feed", "vault.identity"), "person_source_value | family_name | national_id\n70001 | Quenneville | 999-11-2222")
    assert_rows(first.of("feed", "quarantine.record"), "row | reason_code | target\n2 | patient_missing | bronze.hl7_message\n3 | type_unknown | bronze.hl7_message")
    assert_rows(first.lake.read("bronze.hl7_acknowledgement"), """
        control_id | verdict | error_code
        c1         | AA      | 0
        c2         | AE      | 101
        c3         | AR      | 200
        c4         | AA      | 0
    """)


def test_bundles_become_silver(first: Home) -> None:
    def of(table: str) -> DataFrame:
        return first.of("clinic", f"silver.{table}")

    assert_rows(first.of("clinic", "quarantine.record").where("target LIKE 'bronze.%'"), f"""
        file        | row         | reason_code
        person.json | {PLACES + 15} | resource_id_missing
        cut.json    | 1           | json_invalid
    """)
    assert_rows(of("person"), "gender_concept_id | race_concept_id | ethnicity_concept_id | race_source_value\n8532 | 8516 | 0 | Black")
    assert_rows(first.of("clinic", "vault.identity"), "person_source_value | family_name | birth_date\np1 | Brackenridge | null")
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
    lake = first.lake  # no other source has places
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


def test_a_source_that_nobody_has_seen_needs_no_python(first: Home) -> None:
    people = {(r["gender_concept_id"], r["year_of_birth"]) for r in first.of("westside", "silver.person").collect()}
    assert people == {(8507, 1950), (8532, 1981), (0, None)}
    found = first.of("westside", "silver.measurement").collect()
    assert [(r["value_as_number"], r["operator"], r["unit_std"]) for r in found] == [(140.5, ">", "mmol/L")]
    codes = {c for r in first.of("westside", "quarantine.record").collect() for c in r["reason_codes"]}
    assert codes == {"key_missing", "type_measurement_datetime", "orphan_person"}


def test_the_same_under_other_names_changes_nothing(spark: SparkSession, first: Home) -> None:
    root = first.lake.root
    before = contents(spark, root, "bronze", "silver", "quarantine")
    paths = sorted(first.lake.read("ops.fhir_path").collect())
    like_a_night(first.folder, "ingest")  # nothing came
    landing = first.folder / "landing"
    first.send("clinic/again.json", (landing / "clinic" / "person.json").read_bytes())
    first.send("feed/copy.hl7", (landing / "feed" / "oru.hl7").read_bytes())
    like_a_night(first.folder, "ingest")
    after = contents(spark, root, "bronze", "silver", "quarantine")
    assert {name for name in before if before[name] != after[name]} == {"bronze.landing_file"}, "the same content is not read again"
    assert sorted(first.lake.read("ops.fhir_path").collect()) == paths
    first.send("feed/sent-again.hl7", result("182", "F", "c4", "20240102"))  # the same message, not in the same bytes
    like_a_night(first.folder, "ingest", "link", "build")
    after = contents(spark, root, "silver", "quarantine")
    assert after == {name: value for name, value in before.items() if not name.startswith("bronze.")}


@pytest.fixture(scope="module")
def last(first: Home) -> Home:
    deletes = [{"request": {"method": "DELETE", "url": url}} for url in ("Condition/c1", "Specimen/s1")]
    first.send("clinic/later.json", json.dumps({"resourceType": "Bundle", "type": "batch", "entry": deletes}, indent=2))
    first.send("feed/corrected.hl7", result("128", "C", "c5", "20240103"))
    like_a_night(first.folder, "ingest", "link", "build", "audit")
    return first


def test_a_correction_replaces(last: Home) -> None:
    assert_rows(last.of("feed", "silver.measurement"), "value_as_number\n128.0")
    assert last.of("feed", "silver.condition_occurrence").count() == 1


def test_a_deletion_goes_through(last: Home) -> None:
    assert last.of("clinic", "silver.condition_occurrence").count() == last.lake.read("silver.specimen").count() == 0
    assert last.of("clinic", "silver.measurement").count() == 1
    assert last.lake.read("bronze.fhir_resource").where(F.col("is_deleted")).count() == 2


def test_without_surrogates_names_in_notes_are_tags(last: Home) -> None:
    conf_of(last.folder / "conf")
    assert Runner(Options(conf=last.folder / "conf", lake=last.lake.root, landing=last.folder / "landing", only="note")).step("build") == 0
    assert_rows(last.of("clinic", "silver.note"), "note_text\n[NAME] has no embolism.")
