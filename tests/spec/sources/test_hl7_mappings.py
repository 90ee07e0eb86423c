"""From messages to the rows of silver tables: the newest message wins, what was corrected or cancelled follows."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from tests.tables import assert_rows

from medlake.doors.settings import Conf
from medlake.sources.declared import declared
from medlake.sources.hl7 import acknowledgements, read_messages
from medlake.sources.hl7_views import hl7_views, merged_keys, segments
from medlake.sources.mapping import map_by_sql
from medlake.sources.reading import FILE

SQL = Conf().texts("formats", "hl7", suffix=".sql")
SHAPES = Conf().texts("formats", "hl7", suffix=".ddl")
SOURCE = declared("feed", {"format": "hl7"}, {}, SQL)


def message(kind: str, at: str, *segments: str, control: str = "1") -> str:
    return "\r".join([f"MSH|^~\\&|S|H|L|H|{at}||{kind}|{control}|P|2.5", *segments]) + "\r"


def adt(trigger: str, at: str, *segments: str, pid: str = "PID|1||7^^^H^MR||Doe^Jo||19700102|F", control: str = "1") -> str:
    return message(f"ADT^{trigger}", at, f"EVN|{trigger}|{at}", pid, *segments, control=control)


def oru(at: str, *segments: str, order: str = "F1", pid: str = "PID|1||7^^^H^MR", control: str = "1") -> str:
    return message("ORU^R01", at, pid, "PV1|1|I|||||||||||||||||V1", f"OBR|1|P1|{order}|24331-1^Lipids^LN|||20240105", *segments, control=control)


def pv1(visit: str, admitted: str = "", discharged: str = "", kind: str = "I") -> str:
    return f"PV1|1|{kind}" + "|" * 17 + visit + "|" * 25 + admitted + "|" + discharged


Mapping = Callable[..., DataFrame]


@pytest.fixture
def mapping(spark: SparkSession, tmp_path: Path) -> Mapping:
    """The rows of a silver table's mapping: of messages, each in a file of its own, in the order of their arrival."""

    def rows(table: str, *messages: str) -> DataFrame:
        return map_by_sql("feed", table, SQL[table], views_of(read(spark, tmp_path, *messages)))

    return rows


def views_of(messages: DataFrame) -> dict[str, DataFrame]:
    told = segments(messages, SHAPES)
    return hl7_views(told, merged_keys(told))


def read(spark: SparkSession, folder: Path, *messages: str) -> DataFrame:
    files = []
    for n, text in enumerate(messages):
        path = folder / f"{n:03}.hl7"
        path.write_bytes(text.encode())
        files.append(("feed", "hl7", False, path.name, str(path), path.stat().st_size, f"sha{n}", 1))
    frame = spark.createDataFrame(files, FILE).coalesce(1)
    return read_messages(frame, {"feed": SOURCE}, max_bytes=100_000)


def test_a_person_is_as_the_newest_message_says_whatever_came_last(mapping: Mapping) -> None:
    told = mapping(
        "person",
        adt("A08", "20240201", pid="PID|1||7^^^H^MR~99^^^S^SS||New^Ann^B^^Dr~Old^^^^^^M||19700102|F|||1 Road^^Town^TX^123||555^^^a@b.org"),
        adt("A01", "20240101", pid="PID|1||7^^^H^MR||Old^Ann||19700101|M"),
        oru("20240301", "OBX|1|NM|1^x||1", pid="PID|1||7^^^H^MR"),
        adt("A04", "20240101", pid="PID|1||8^^^H^MR||Roe^Al||1970|X"),
        adt("A04", "20240101", pid="PID|1||9^^^H^MR||Poe^Al||19701340|M"),
        adt("A28", "20240101", pid="PID|1||6^^^H^MR||Gone^Al"), adt("A29", "20240102", pid="PID|1||6^^^H^MR"),
        oru("20240301", "OBX|1|NM|1^x||1", pid="PID|1||5||Lab^Only"),
    )  # fmt: skip
    assert_rows(told, """
        person_source_value | gender_concept_id | birth_date | year_of_birth | family_name | given_name | maiden_name | city | email   | national_id
        7                   | 8507              | x          | x             | x           | x          | x           | x    | x       | x
    """.replace("8507", "8532").replace("x          | x             | x           | x          | x           | x    | x       | x",
                "1970-01-02 | 1970          | New         | Ann B      | Old         | Town | a@b.org | 99") + """
        8                   | 0                 | null       | 1970          | Roe         | Al         | null        | null | null    | null
        9                   | 8507              | 19701340   | 1970          | Poe         | Al         | null        | null | null    | null
        5                   | 0                 | null       | null          | Lab         | Only       | null        | null | null    | null
    """)


def test_of_two_messages_of_one_second_the_higher_control_id_is_newer(mapping: Mapping) -> None:
    told = mapping("person", adt("A08", "20240101", pid="PID|1||7||Ten", control="10"), adt("A08", "20240101", pid="PID|1||7||Nine", control="9"))
    assert_rows(told, "person_source_value | family_name\n7 | Ten")


def test_a_merged_key_counts_as_the_one_it_became(mapping: Mapping) -> None:
    merged = [
        adt("A01", "20240101", pv1("V1", "20240101"), pid="PID|1||1||One"), adt("A01", "20240102", pv1("V2", "20240102"), pid="PID|1||2||Two"),
        adt("A01", "20240103", pv1("V3", "20240103"), pid="PID|1||3||Three"),
        adt("A40", "20240104", "MRG|1", pid="PID|1||2||Two"), adt("A40", "20240105", "MRG|2", pid="PID|1||3||Three"),
        # 4 became 5, and later 5 became 4 again: 4 stands
        adt("A40", "20240104", "MRG|4", pid="PID|1||5||Five"), adt("A40", "20240105", "MRG|5", pid="PID|1||4||Four"),
    ]  # fmt: skip
    assert_rows(mapping("person", *merged), """
        person_source_value | family_name
        3                   | Three
        4                   | Four
    """)
    assert_rows(mapping("visit_occurrence", *merged), """
        visit_source_value | person_source_value
        V1                 | 3
        V2                 | 3
        V3                 | 3
    """)


def test_a_visit_is_put_together_from_its_messages(mapping: Mapping) -> None:
    told = mapping(
        "visit_occurrence",
        adt("A03", "20240105120000", pv1("V1", "", "20240105113000")), adt("A01", "20240101", pv1("V1", "20240101083000", kind="E")),
        adt("A01", "20240102", pv1("V2")), adt("A03", "20240103101500", pv1("V2")),
        adt("A01", "20240101", pv1("V3", "20240101")), adt("A03", "20240102", pv1("V3", "", "20240102")), adt("A13", "20240103", pv1("V3", kind="O")),
        adt("A01", "20240101", pv1("V4", "20240101")), adt("A11", "20240102", pv1("V4")),
        adt("A04", "20240101", pv1("V5", "20240101")), adt("A23", "20240102", pv1("V5")),
        adt("A05", "20240101", pv1("V6", "20240301")), adt("A08", "20240101", pv1("V7", "soon")), adt("A08", "20240101", pv1("V8")),
        oru("20240109", "OBX|1|NM|1^x||1"),
    )  # fmt: skip
    assert_rows(told, """
        visit_source_value | visit_start_datetime | visit_end_datetime  | visit_concept_id
        V1                 | 2024-01-01 08:30:00  | 2024-01-05 11:30:00 | 9201
        V2                 | 2024-01-02           | 2024-01-03 10:15:00 | 9201
        V3                 | 2024-01-01           | null                | 9202
        V7                 | soon                 | null                | 9201
        V8                 | null                 | null                | 9201
    """)


def test_the_newest_word_on_a_diagnosis_counts(mapping: Mapping) -> None:
    told = mapping(
        "condition_occurrence",
        adt("A01", "20240101", pv1("V1", "20240101"), "DG1|1||I10^Hypertension^I10C||20240101|A", "DG1|2||E11^Diabetes^I10||20240101|A"),
        adt("A08", "20240102", pv1("V1", "20240101"), "DG1|1||I10^High blood pressure^I10C||20240101|A", "DG1|2||E11^Diabetes^I10||20240101|A" + "|" * 15 + "D"),
        adt("A03", "20240103", pv1("V1", "20240101"), "DG1|1||J18^Pneumonia^L|||F", "DG1|2|||Sprain"),
    )  # fmt: skip
    assert_rows(told, """
        visit_source_value | condition_source_value | condition_source_vocabulary | condition_source_name | condition_start_datetime
        V1                 | I10                    | ICD10CM                     | High blood pressure   | 2024-01-01
        V1                 | J18                    | null                        | Pneumonia             | 2024-01-01
        V1                 | Sprain                 | null                        | Sprain                | 2024-01-01
    """)


RESULTS = [
    oru("20240105", "OBX|1|NM|2093-3^Chol^LN||182|mg/dL|||||P|||20240105080000-0500", "OBX|2|SN|TG^Trig^L^2571-8^Triglyceride^LN||>^900|mg/dL|||||F",
        "OBX|3|ST|HDL^HDL^L||<10||||||F", "OBX|4|ST|COL^Colour^L||12 yellow||||||F", "OBX|5|CWE|BACT^Bacteria^L||EC^E. coli^L~KP^Klebsiella^L||||||F",
        "OBX|6|NM|LDL^LDL^L||99|mg/dL|||||F", "OBX|7|NM|NA^Sodium^L||140|mmol/L|||||I", "OBX|8|ED|PIC^Picture^L||^image^png^Base64^AAAA||||||F",
        "OBX|9|SN|ANA^Titre^L||^1^:^128||||||F", "OBX|10|ST|K^Potassium^L||4,1|mmol/L|||||F"),
    oru("20240106", "OBX|1|NM|2093-3^Chol^LN||199|mg/dL|||||C|||20240105080000-0500", "OBX|2|NM|LDL^LDL^L||||||||W"),
    oru("20240104", "OBX|1|ST|HDL^HDL^L||<99||||||F", control="9"),  # late: older than what is known
    oru("20240105", "OBX|1|NM|2093-3^Chol^LN||150|mg/dL|||||F", order="F2"),  # the same code of another order
]  # fmt: skip


def test_numbers_become_measurements_corrected_or_withdrawn_by_later_messages(mapping: Mapping) -> None:
    assert_rows(mapping("measurement", *RESULTS), """
        measurement_source_value | measurement_source_vocabulary | measurement_datetime      | value_source_value | unit_source_value | visit_source_value
        2093-3                   | LOINC                         | 2024-01-05 08:00:00-05:00 | 199                | mg/dL             | V1
        2093-3                   | LOINC                         | 2024-01-05                | 150                | mg/dL             | V1
        2571-8                   | LOINC                         | 2024-01-05                | >900               | mg/dL             | V1
        HDL                      | null                          | 2024-01-05                | <10                | null              | V1
        ANA                      | null                          | 2024-01-05                | 1:128              | null              | V1
        K                        | null                          | 2024-01-05                | 4,1                | mmol/L            | V1
    """)


def test_words_and_codes_become_observations(mapping: Mapping) -> None:
    assert_rows(mapping("observation", *RESULTS), """
        observation_source_value | value_source_value
        COL                      | 12 yellow
        BACT                     | E. coli; Klebsiella
        PIC                      | null
    """)


def test_a_result_is_mapped_once_with_a_name_of_its_own(mapping: Mapping) -> None:
    twice = mapping("measurement", oru("20240105", "OBX|1|NM|T^Temp||37", "OBX|2|NM|T^Temp||38"), oru("20240105", "OBX|1|NM|T^Temp||39", order="F9"))
    assert twice.select("event_source_value").distinct().count() == twice.count() == 3


def test_documents_and_reports_become_notes(mapping: Mapping) -> None:
    def mdm(trigger: str, at: str, txa: str, *obx: str) -> str:
        return message(f"MDM^{trigger}", at, "PID|1||7^^^H^MR", "PV1|1|I|||||||||||||||||V1", txa, *obx)

    told = mapping(
        "note",
        mdm("T02", "20240101", "TXA|1|DS^Discharge summary|TX|20240101||||||||D1", "OBX|1|TX|DS^x||Dear colleague,~thank you", "OBX|2|TX|DS^x||a\\.br\\b"),
        mdm("T08", "20240102", "TXA|1|DS^Discharge summary|TX|20240101||||||||D1", "OBX|1|TX|DS^x||Edited"),
        mdm("T02", "20240101", "TXA|1|OP^Operation|TX|20240101||||||||D2", "OBX|1|ST|OP^x||Cancelled"), mdm("T11", "20240103", "TXA|1|OP^x|TX|||||||||D2"),
        mdm("T02", "20240101", "TXA|1|HP^History|TX|20240101||||||||D3", "OBX|1|TX|HP^x||Old"),
        mdm("T10", "20240102", "TXA|1|HP^History|TX|20240102||||||||D4|D3", "OBX|1|TX|HP^x||Replacement"),
        oru("20240105", "OBX|1|TX|R^Report||No", "OBX|2|FT|R^Report||fracture", "OBX|3|TX|R^Report||deleted line||||||D", order="R1"),
        oru("20240104", "OBX|1|TX|R^Report||Preliminary", order="R1"),
    )  # fmt: skip
    assert_rows(told, """
        note_title        | note_text        | note_datetime | visit_source_value
        Discharge summary | Edited           | 2024-01-01    | V1
        History           | Replacement      | 2024-01-02    | V1
        Lipids            | No\\nfracture     | 2024-01-05    | V1
    """)


def test_lines_and_breaks_of_a_document_are_kept(mapping: Mapping) -> None:
    told = mapping("note", message("MDM^T02", "20240101", "PID|1||7", "TXA|1|DS^S|TX|20240101||||||||D1", "OBX|1|TX|DS^x||one~~three", "OBX|2|FT|DS^x||a\\.br\\b"))
    assert [r["note_text"] for r in told.collect()] == ["one\n\nthree\na\nb"]


def test_a_death_is_told_by_the_newest_message(mapping: Mapping) -> None:
    dead = "PID|1||7||Doe" + "|" * 24
    told = mapping("death", adt("A08", "20240101", pid=dead + "202401010000|Y"), adt("A08", "20240101", pid="PID|1||8||Roe"))
    assert_rows(told, "person_source_value | death_datetime\n7 | 2024-01-01 00:00:00")


def test_the_order_of_arrival_changes_nothing(mapping: Mapping) -> None:
    one, other = mapping("measurement", *RESULTS), mapping("measurement", *reversed(RESULTS))
    columns = [c for c in one.columns if c != "_record"]
    assert sorted(map(str, one.select(*columns).collect())) == sorted(map(str, other.select(*columns).collect()))


def test_a_message_that_came_twice_changes_nothing(mapping: Mapping) -> None:
    assert mapping("measurement", *RESULTS, *RESULTS).count() == mapping("measurement", *RESULTS).count()


def test_a_file_that_is_read_again_changes_nothing(spark: SparkSession, tmp_path: Path) -> None:
    told = read(spark, tmp_path, adt("A01", "20240101", pv1("V1", "20240101"), pid="PID|1||1||One"), adt("A40", "20240104", "MRG|1", pid="PID|1||2||Two"))
    again = told.unionByName(told.withColumn("batch", F.lit(2)))
    visits = map_by_sql("feed", "visit_occurrence", SQL["visit_occurrence"], views_of(again))
    assert_rows(visits, "visit_source_value | person_source_value\nV1 | 2")


def test_each_message_has_its_acknowledgement(spark: SparkSession, tmp_path: Path) -> None:
    told = read(
        spark, tmp_path, adt("A01", "20240101", control="c1"), adt("A01", "20240101", pid="PID|1||||Doe", control="c2"),
        message("ORM^O01", "20240101", "PID|1||7", control="c3"), "noise\r", "", adt("A01", "20240101", control=""),
    )  # fmt: skip
    assert_rows(acknowledgements(told).withColumn("n", F.substring("file", 1, 3)), """
        n   | row | control_id | verdict | error_code | reason_code
        000 | 1   | c1         | AA      | 0          | null
        001 | 1   | c2         | AE      | 101        | patient_missing
        002 | 1   | c3         | AR      | 200        | type_unknown
        003 | 1   | null       | AR      | 100        | msh_missing
        004 | 0   | null       | AR      | 207        | file_empty
        005 | 1   | null       | AR      | 101        | control_id_missing
    """)
