"""From FHIR resources to the rows of silver tables, as text tables."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from tests.tables import assert_rows

from medlake.doors.settings import Conf
from medlake.sources.declared import declared
from medlake.sources.fhir import read_resources
from medlake.sources.mapping import map_by_sql, with_record
from medlake.sources.reading import FILE
from medlake.sources.views import fhir_views

SQL = Conf().texts("formats", "fhir", suffix=".sql")
SHAPES = Conf().texts("formats", "fhir", suffix=".ddl")
SOURCE = declared("north", {"format": "fhir"}, {}, SQL)
Mapping = Callable[..., DataFrame]


@pytest.fixture
def mapping(spark: SparkSession, tmp_path: Path) -> Mapping:
    """The rows of a silver table's mapping, of resources that stand in one file."""

    def rows(table: str, *resources: dict[str, Any]) -> DataFrame:
        return map_by_sql("north", table, SQL[table], fhir_views(bronze(spark, tmp_path, *resources), SOURCE, SHAPES))

    return rows


def bronze(spark: SparkSession, folder: Path, *resources: dict[str, Any]) -> DataFrame:
    path = folder / "all.ndjson"
    path.write_text("\n".join(json.dumps(r) for r in resources), encoding="utf-8")
    files = [("north", "fhir", False, path.name, str(path), path.stat().st_size, "sha", 1)]
    return read_resources(spark.createDataFrame(files, FILE).coalesce(1), max_line_bytes=100_000, max_document_bytes=100_000)


def of(kind: str, key: str = "1", patient: str = "subject", **more: Any) -> dict[str, Any]:
    return {"resourceType": kind, "id": key, patient: {"reference": "Patient/p"}, **more}


def code(code: str, system: str = "http://loinc.org", **more: Any) -> dict[str, Any]:
    return {"coding": [{"system": system, "code": code, **more}]}


def packed(text: str | bytes) -> str:
    return base64.b64encode(text.encode() if isinstance(text, str) else text).decode()


def observation(key: str, **more: Any) -> dict[str, Any]:
    return of("Observation", key, status="final", code=code(key), effectiveDateTime="2024-01-02", **more)


LAB = {"category": [code("laboratory")]}
VALUES = {
    "quantity": {"valueQuantity": {"value": 7.10, "unit": "millimole", "code": "mmol/L"}},
    "comparator": {"valueQuantity": {"value": 90, "comparator": ">", "unit": "mL"}},
    "concept": {"valueCodeableConcept": code("LA1", display="Positive")},
    "code": {"valueCodeableConcept": code("LA2")},
    "string": {"valueString": "clear"},
    "boolean": {"valueBoolean": False},
    "integer": {"valueInteger": 0},
    "range": {"valueRange": {"low": {"value": 3, "unit": "cells"}, "high": {"value": 5}}},
    "at_least": {"valueRange": {"low": {"value": 3}}},
    "at_most": {"valueRange": {"high": {"value": 5, "code": "L"}}},
    "ratio": {"valueRatio": {"numerator": {"value": 1}, "denominator": {"value": 128}}},
    "titre": {"valueRatio": {"numerator": {"value": 1, "comparator": "<"}, "denominator": {"value": 8}}},
    "sampled": {"valueSampledData": {"origin": {"value": 0, "unit": "mV"}, "period": 1, "dimensions": 1, "data": "1 2 E"}},
    "time": {"valueTime": "13:05:00"},
    "moment": {"valueDateTime": "2024-05"},
    "period": {"valuePeriod": {"start": "2024-01-01", "end": "2024-01-03"}},
    "open_period": {"valuePeriod": {"start": "2024-01-01"}},
    "none": {"dataAbsentReason": code("unknown")},
}


def test_every_type_of_value_keeps_what_it_says(mapping: Mapping) -> None:
    told = """
        {0}_source_value | value_source_value    | unit_source_value
        concept          | Positive              | null
        code             | LA2                   | null
        string           | clear                 | null
        boolean          | false                 | null
        integer          | 0                     | null
        range            | 3 - 5                 | cells
        at_least         | >=3                   | null
        at_most          | <=5                   | L
        ratio            | 1:128                 | null
        titre            | <1:8                  | null
        sampled          | 1 2 E                 | mV
        time             | 13:05:00              | null
        moment           | 2024-05               | null
        period           | 2024-01-01/2024-01-03 | null
        open_period      | 2024-01-01/           | null
        none             | null                  | null
    """
    numbers = "quantity | 7.1 | mmol/L\n comparator | >90 | mL\n"
    assert_rows(mapping("measurement", *[observation(k, **LAB, **v) for k, v in VALUES.items()]), told.format("measurement") + numbers)
    assert_rows(mapping("observation", *[observation(k, **v) for k, v in VALUES.items()]), told.format("observation"))
    assert_rows(mapping("measurement", *[observation(k, **v) for k, v in VALUES.items()]), "measurement_source_value | value_source_value | unit_source_value\n" + numbers)


def test_a_panel_gives_a_row_for_each_component_and_for_itself_where_it_has_a_value(mapping: Mapping) -> None:
    parts = [
        {"code": code("8480-6", display="Systolic"), "valueQuantity": {"value": 120, "code": "mm[Hg]"}, "interpretation": [code("H")]},
        {"code": code("8462-4"), "valueQuantity": {"value": 80, "code": "mm[Hg]"}},
        {"code": code("cuff"), "valueString": "large"},
        {"code": code("left"), "valueBoolean": True},
    ]
    vital = {"category": [code("vital-signs")], "encounter": {"reference": "Encounter/e/_history/2"}}
    panels = [
        observation("bp", component=parts, **vital),
        observation("score", component=parts[1:2], valueQuantity={"value": 9}, **vital),
        observation("members", hasMember=[{"reference": "Observation/bp"}], **vital),
        {**observation("wrong", component=parts, **vital), "status": "entered-in-error"},
    ]
    assert_rows(mapping("measurement", *panels), """
        event_source_value | measurement_source_value | measurement_source_name | value_source_value | unit_source_value | flag_source_value | visit_source_value | person_source_value
        bp#0               | 8480-6                   | Systolic                | 120                | mm[Hg]            | H                 | e                  | p
        bp#1               | 8462-4                   | null                    | 80                 | mm[Hg]            | null              | e                  | p
        score              | score                    | null                    | 9                  | null              | null              | e                  | p
        score#0            | 8462-4                   | null                    | 80                 | mm[Hg]            | null              | e                  | p
        members            | members                  | null                    | null               | null              | null              | e                  | p
    """)
    assert_rows(mapping("observation", *panels), """
        event_source_value | observation_source_value | value_source_value
        bp#2               | cuff                     | large
        bp#3               | left                     | true
    """)


def test_drugs_come_from_five_resources_and_name_their_drug_in_three_ways(mapping: Mapping) -> None:
    rx = "http://www.nlm.nih.gov/research/umls/rxnorm"
    inside = {"contained": [{"resourceType": "Medication", "id": "m", "code": code("inside", rx)}], "medicationReference": {"reference": "#m"}}
    own = {"resourceType": "Medication", "id": "m", "code": {**code("outside", rx), "text": "Outside 5 mg"}}
    told = mapping(
        "drug_exposure", own,
        of("MedicationRequest", "1", authoredOn="2024-01-01", medicationCodeableConcept=code("said", rx), encounter={"reference": "Encounter/e"},
           dispenseRequest={"quantity": {"value": 30}, "validityPeriod": {"end": "2024-02-01"}}),
        of("MedicationRequest", "2", authoredOn="2024-01-01", **inside),
        of("MedicationRequest", "3", authoredOn="2024-01-01", medicationReference={"reference": "Medication/m"}),
        of("MedicationRequest", "4", authoredOn="2024-01-01", medicationReference={"reference": "Medication/lost"}),
        of("MedicationRequest", "no", authoredOn="2024-01-01", doNotPerform=True, **inside),
        of("MedicationStatement", "1", status="active", effectivePeriod={"start": "2024-01-02", "end": "2024-01-05"}, medicationReference={"reference": "http://x.example/fhir/Medication/m"}),
        of("MedicationStatement", "no", status="not-taken", dateAsserted="2024-01-02", **inside),
        of("MedicationDispense", "1", status="completed", whenPrepared="2024-01-01", whenHandedOver="2024-01-03", quantity={"value": 20}, context={"reference": "Encounter/e"}, **inside),
        of("MedicationDispense", "no", status="cancelled", whenPrepared="2024-01-01", **inside),
        of("MedicationAdministration", "1", status="completed", effectiveDateTime="2024-01-04T08:00:00Z", dosage={"dose": {"value": 2.5}}, **inside),
        of("MedicationAdministration", "no", status="not-done", effectiveDateTime="2024-01-04", **inside),
        of("Immunization", "1", "patient", status="completed", occurrenceDateTime="2024-01-05", vaccineCode=code("08", "http://hl7.org/fhir/sid/cvx"), doseQuantity={"value": 0.5}),
        of("Immunization", "no", "patient", status="not-done", occurrenceDateTime="2024-01-05", vaccineCode=code("08")),
    )  # fmt: skip
    assert_rows(told, """
        event_source_value         | drug_source_value | drug_source_name | drug_exposure_start_datetime | drug_exposure_end_datetime | quantity | visit_source_value | drug_type_concept_id
        1                          | said              | null             | 2024-01-01                   | 2024-02-01                 | 30       | e                  | 32838
        2                          | inside            | null             | 2024-01-01                   | null                       | null     | null               | 32838
        3                          | outside           | Outside 5 mg     | 2024-01-01                   | null                       | null     | null               | 32838
        4                          | null              | null             | 2024-01-01                   | null                       | null     | null               | 32838
        MedicationStatement/1      | outside           | Outside 5 mg     | 2024-01-02                   | 2024-01-05                 | null     | null               | 32865
        MedicationDispense/1       | inside            | null             | 2024-01-03                   | null                       | 20       | e                  | 32825
        MedicationAdministration/1 | inside            | null             | 2024-01-04T08:00:00Z         | null                       | 2.5      | null               | 32818
        Immunization/1             | 08                | null             | 2024-01-05                   | null                       | 0.5      | null               | 32818
    """)


def test_an_allergy_is_an_observation_with_what_it_does(mapping: Mapping) -> None:
    food = code("227493005", "http://snomed.info/sct", display="Cashew nuts")
    told = mapping(
        "observation",
        of("AllergyIntolerance", "1", "patient", code=food, onsetDateTime="2004", criticality="high",
           reaction=[{"manifestation": [{"text": "Rash"}, code("x", display="Wheeze")]}, {"manifestation": [code("39579001")]}]),
        of("AllergyIntolerance", "2", "patient", code=food, recordedDate="2010-01-01", criticality="high"),
        of("AllergyIntolerance", "3", "patient", code=food, recordedDate="2010-01-01", type="intolerance"),
        of("AllergyIntolerance", "4", "patient", code=food, recordedDate="2010-01-01"),
        of("AllergyIntolerance", "no", "patient", code=food, recordedDate="2010-01-01", verificationStatus=code("refuted")),
    )  # fmt: skip
    assert_rows(told, """
        event_source_value   | observation_source_value | observation_source_name | observation_datetime | value_source_value
        AllergyIntolerance/1 | 227493005                | Cashew nuts             | 2004                 | Rash, Wheeze, 39579001
        AllergyIntolerance/2 | 227493005                | Cashew nuts             | 2010-01-01           | high
        AllergyIntolerance/3 | 227493005                | Cashew nuts             | 2010-01-01           | intolerance
        AllergyIntolerance/4 | 227493005                | Cashew nuts             | 2010-01-01           | allergy
    """)


HTML = "<html><style>p {x}</style><body><p>Head &lt;ache&gt;</p>Cough<br/>&amp; cold</body></html>"


def test_a_report_gives_its_texts_its_conclusion_and_its_codes(mapping: Mapping) -> None:
    report = of(
        "DiagnosticReport", status="final", code={**code("24627-2"), "text": "Chest CT"}, effectiveDateTime="2024-03-01", encounter={"reference": "Encounter/e"},
        conclusion="No embolism.", conclusionCode=[code("R91.1", "icd", display="Nodule"), code("Z1")],
        presentedForm=[{"contentType": "text/plain", "data": packed("first")}, {"contentType": "application/pdf", "data": packed("%PDF")},
                       {"contentType": "text/plain; charset=utf-8", "data": packed("zweite Zeile ü")}],
    )  # fmt: skip
    assert_rows(mapping("note", report, of("DiagnosticReport", "wrong", status="entered-in-error", conclusion="x")), """
        event_source_value            | note_text      | note_title | note_class_source_value | note_datetime | visit_source_value
        DiagnosticReport/1#0          | first          | Chest CT   | 24627-2                 | 2024-03-01    | e
        DiagnosticReport/1#1          | zweite Zeile ü | Chest CT   | 24627-2                 | 2024-03-01    | e
        DiagnosticReport/1#conclusion | No embolism.   | Chest CT   | 24627-2                 | 2024-03-01    | e
    """)
    assert_rows(mapping("observation", report), """
        event_source_value   | observation_source_value | observation_source_name | value_source_value | observation_datetime
        DiagnosticReport/1#0 | R91.1                    | Nodule                  | Chest CT           | 2024-03-01
        DiagnosticReport/1#1 | Z1                       | null                    | Chest CT           | 2024-03-01
    """)


def document(key: str, *attachments: dict[str, Any]) -> dict[str, Any]:
    return of("DocumentReference", key, status="current", date="2024-04-01", content=[{"attachment": a} for a in attachments])


def test_an_attachment_is_decoded_whatever_its_form(mapping: Mapping) -> None:
    plain, html = {"contentType": "text/plain"}, {"contentType": "text/html; charset=utf-8"}
    told = mapping(
        "note",
        document("utf8", {**plain, "data": packed("Größe")}),
        document("cp1252", {**plain, "data": packed("Größe – 5 €".encode("cp1252"))}),
        document("utf16", {**plain, "data": packed("Größe".encode("utf-16"))}),
        document("spoiled", {**plain, "data": "no base64 !"}),
        document("capitals", {"contentType": "TEXT/PLAIN", "data": packed("x")}),
        document("html", {**html, "data": packed(HTML)}),
        document("both", {**html, "data": packed(HTML)}, {**plain, "data": packed("plain")}),
        document("two", {**plain, "data": packed("a")}, {**plain, "data": packed("b")}),
        document("binary", {**plain, "url": "Binary/b1"}),
        document("elsewhere", {**plain, "url": "https://x.example/doc.txt"}),
        document("pdf", {"contentType": "application/pdf", "data": packed("%PDF")}),
        {"resourceType": "Binary", "id": "b1", "contentType": "text/plain", "data": packed("in a Binary")},
    )
    assert_rows(told.withColumn("note_text", F.trim(F.replace("note_text", F.lit("\n"), F.lit("/")))), """
        event_source_value | note_text
        utf8               | Größe
        cp1252             | Größe – 5 €
        utf16              | null
        spoiled            | null
        capitals           | x
        html               | Head <ache>/Cough/& cold
        both               | plain
        two                | a
        two#1              | b
        binary             | in a Binary
        elsewhere          | null
    """)


def test_a_device_in_use_and_a_specimen(mapping: Mapping) -> None:
    pump = of("Device", "d", "patient", type=code("pump", "snomed", display="Pump"), udiCarrier=[{"deviceIdentifier": "0123", "carrierHRF": "(01)0123(21)77"}])
    lens = of("Device", "l", "patient", type=code("lens"), serialNumber="S9")
    use = of("DeviceUseStatement", "u", status="active", device={"reference": "Device/d"}, timingPeriod={"start": "2024-01-01", "end": "2024-02"})
    assert_rows(mapping("device_exposure", pump, lens, use, {"resourceType": "Device", "id": "stock", "type": code("bed")}), """
        event_source_value   | person_source_value | device_source_value | device_source_name | device_exposure_start_datetime | device_exposure_end_datetime | unique_device_id | production_id
        DeviceUseStatement/u | p                   | pump                | Pump               | 2024-01-01                     | 2024-02                      | 0123             | (01)0123(21)77
        Device/l             | p                   | lens                | null               | null                           | null                         | null             | S9
    """)
    blood = of("Specimen", "s", type=code("BLD", display="Blood"), accessionIdentifier={"value": "A-1"}, receivedTime="2024-01-02",
               collection={"collectedPeriod": {"start": "2024-01-01"}, "quantity": {"value": 5, "unit": "mL"}, "bodySite": {"text": "Arm"}})  # fmt: skip
    assert_rows(mapping("specimen", blood, of("Specimen", "no", status="entered-in-error")), """
        event_source_value | specimen_source_value | specimen_source_name | specimen_datetime | quantity | unit_source_value | anatomic_site_source_value | specimen_source_id
        s                  | BLD                   | Blood                | 2024-01-01        | 5        | mL                | Arm                        | A-1
    """)


def told_of(name: str, *codes: str, text: str = "as told") -> dict[str, Any]:
    parts = [{"url": "ombCategory", "valueCoding": {"code": c}} for c in codes]
    return {"url": f"http://hl7.org/fhir/us/core/StructureDefinition/us-core-{name}", "extension": [*parts, {"url": "text", "valueString": text}]}


def test_race_and_ethnicity_of_us_core_are_omop_concepts(mapping: Mapping) -> None:
    def patient(key: str, *extensions: dict[str, Any]) -> dict[str, Any]:
        return {"resourceType": "Patient", "id": key, **({"extension": list(extensions)} if extensions else {})}

    told = mapping(
        "person",
        *[patient(c, told_of("race", c)) for c in ("1002-5", "2028-9", "2054-5", "2076-8", "2106-3", "2131-1", "UNK")],
        patient("two", told_of("race", "2028-9", "2106-3"), told_of("ethnicity", "2135-2")),
        patient("not", told_of("ethnicity", "2186-5")), patient("text", told_of("race"), told_of("ethnicity")),
        patient("other", {"url": "x"}), patient("silent"),
    )  # fmt: skip
    assert_rows(told, """
        person_source_value | race_concept_id | race_source_value | ethnicity_concept_id | ethnicity_source_value
        1002-5              | 8657            | as told           | null                 | null
        2028-9              | 8515            | as told           | null                 | null
        2054-5              | 8516            | as told           | null                 | null
        2076-8              | 8557            | as told           | null                 | null
        2106-3              | 8527            | as told           | null                 | null
        2131-1              | 8522            | as told           | null                 | null
        UNK                 | null            | as told           | null                 | null
        two                 | null            | as told           | 38003563             | as told
        not                 | null            | null              | 38003564             | as told
        text                | null            | as told           | null                 | as told
        other               | null            | null              | null                 | null
        silent              | null            | null              | null                 | null
    """)


def test_a_birth_date_without_day_is_a_year_and_a_death_without_date_is_told(mapping: Mapping) -> None:
    people = [{"resourceType": "Patient", "id": d or "none", **({"birthDate": d} if d else {})} for d in ("1950", "1950-06", "1950-06-07", "1950-02-30", "")]
    assert_rows(mapping("person", *people), """
        person_source_value | birth_date | year_of_birth
        1950                | null       | 1950
        1950-06             | null       | 1950
        1950-06-07          | 1950-06-07 | null
        1950-02-30          | 1950-02-30 | null
        none                | null       | null
    """)
    dead = [{"resourceType": "Patient", "id": k, **v} for k, v in {"a": {"deceasedDateTime": "2019"}, "b": {"deceasedBoolean": True}, "c": {"deceasedBoolean": False}, "d": {}}.items()]
    assert_rows(mapping("death", *dead), "person_source_value | death_datetime\na | 2019\nb | null")


def test_conditions_procedures_and_visits_keep_their_dates_as_they_are_told(mapping: Mapping) -> None:
    told = mapping("condition_occurrence", of("Condition", code=code("x"), onsetDateTime="2019-05", abatementPeriod={"end": "2020"}),
                   of("Condition", "2", code=code("y"), onsetPeriod={"start": "2018"}, verificationStatus=code("confirmed")))  # fmt: skip
    assert_rows(told, """
        condition_source_value | condition_start_datetime | condition_end_datetime
        x                      | 2019-05                  | 2020
        y                      | 2018                     | null
    """)
    done = [of("Procedure", s, status=s, code=code(s), performedPeriod={"start": "2020-01-01"}) for s in ("completed", "not-done", "entered-in-error")]
    assert_rows(mapping("procedure_occurrence", *done), "procedure_source_value | procedure_datetime\ncompleted | 2020-01-01")


@pytest.mark.parametrize("table", sorted(SQL))
def test_each_row_of_a_mapping_can_be_traced_to_its_resource(table: str) -> None:
    assert with_record(SQL[table]).count("._record ") == SQL[table].count("UNION ALL") + 1


@pytest.mark.parametrize("kind", sorted(SHAPES))
def test_a_shape_holds_what_some_mapping_reads(kind: str) -> None:
    """What is in a shape counts as read (ops.fhir_path): a name that no mapping knows must not stand there."""
    names = set(re.findall(r"(\w+)(?::| (?:string|struct|array))", SHAPES[kind]))
    read = " ".join(sql for sql in SQL.values() if re.search(rf"\b{kind}\b", sql))
    assert read, "no mapping reads this type"
    assert sorted(n for n in names if not re.search(rf"\b{n}\b", read)) == []
