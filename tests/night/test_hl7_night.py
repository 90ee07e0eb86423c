"""A feed of HL7 v2 through ingest, link, build and audit: twice is once, a correction replaces, bad ones are told."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from pyspark.sql import SparkSession
from tests.nights import conf_of, contents, like_a_night
from tests.tables import assert_rows

from medlake.doors.lake import Lake

pytestmark = pytest.mark.slow
PID = "PID|1||70001^^^HOSP^MR~999-11-2222^^^SSA^SS||Quenneville^Marisol||19700102|F|||12 Elm Street^^Springfield^IL^62701||217-555-0142"
PV1 = "PV1|1|I|||||||||||||||||V1|||||||||||||||||||||||||20240101080000"


def message(kind: str, control: str, *segments: str, at: str = "20240105120000") -> bytes:
    return "\r".join([f"MSH|^~\\&|S|H|L|H|{at}||{kind}|{control}|P|2.5.1", *segments, ""]).encode()


def result(value: str, status: str, control: str, at: str) -> bytes:
    obx = f"OBX|1|NM|2345-7^Glucose^LN||{value}|mg/dL|||||{status}|||20240102080000"
    return message("ORU^R01", control, PID, PV1, "OBR|1||F1|24320-4^Panel^LN|||20240102080000", obx, "OBX|2|TX|R^Report||Seen by Marisol.", at=at)


def test_a_feed_becomes_silver(spark: SparkSession, tmp_path: Path) -> None:
    source = conf_of(tmp_path / "conf", '[privacy]\nnotes = "surrogates"\n') / "sources" / "feed"
    source.mkdir(parents=True)
    (source / "source.toml").write_text('format = "hl7"\n')
    landing = tmp_path / "landing" / "feed"
    landing.mkdir(parents=True)
    admit = message("ADT^A01", "c1", "EVN|A01|20240101080000", PID, PV1, "DG1|1||E11^Diabetes^I10C||20240101|A")
    (landing / "adt.hl7").write_bytes(admit + message("ADT^A01", "c2", "EVN|A01", "PID|1||||Nobody") + message("ORM^O01", "c3", PID))
    (landing / "oru.hl7").write_bytes(b"\x0b" + result("182", "F", "c4", "20240102") + b"\x1c\r")
    like_a_night(tmp_path, "ingest", "link", "build", "audit")
    lake = Lake(spark, tmp_path / "lake")
    assert_rows(lake.read("silver.measurement"), "measurement_source_value | value_as_number | unit_source_value\n2345-7 | 182.0 | mg/dL")
    assert_rows(lake.read("silver.visit_occurrence"), "visit_concept_id\n9201")
    assert_rows(lake.read("silver.condition_occurrence"), "condition_source_value | condition_source_vocabulary | qc\nE11 | ICD10CM | []")
    [note] = lake.read("silver.note").collect()
    assert note["visit_occurrence_id"] and re.fullmatch(r"Seen by (?!Marisol)[A-Z][a-z]+\.", note["note_text"])
    assert note["n_replaced"] == 1
    assert_rows(lake.read("vault.identity"), "person_source_value | family_name | national_id\n70001 | Quenneville | 999-11-2222")
    assert_rows(lake.read("quarantine.record"), "row | reason_code | target\n2 | patient_missing | bronze.hl7_message\n3 | type_unknown | bronze.hl7_message")
    assert_rows(lake.read("bronze.hl7_acknowledgement"), """
        control_id | verdict | error_code
        c1         | AA      | 0
        c2         | AE      | 101
        c3         | AR      | 200
        c4         | AA      | 0
    """)
    before = contents(spark, tmp_path / "lake", "bronze", "silver", "quarantine")
    (landing / "copy.hl7").write_bytes((landing / "oru.hl7").read_bytes())
    (landing / "sent-again.hl7").write_bytes(result("182", "F", "c4", "20240102"))
    like_a_night(tmp_path, "ingest", "link", "build")
    again = contents(spark, tmp_path / "lake", "silver", "quarantine")
    assert again == {name: value for name, value in before.items() if not name.startswith("bronze.")}
    (landing / "corrected.hl7").write_bytes(result("128", "C", "c5", "20240103"))
    like_a_night(tmp_path, "ingest", "link", "build", "audit")
    assert_rows(lake.read("silver.measurement"), "value_as_number\n128.0")
