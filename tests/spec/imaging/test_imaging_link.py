"""To which visit and procedure a study belongs: the first rule that finds anything decides, two candidates are none."""

from __future__ import annotations

import pytest
from pyspark.sql import DataFrame, SparkSession
from tests.tables import assert_rows, rows

from medlake.clean.imaging_link import linked

STUDY = {"person_id": "bigint", "at": "timestamp", "named_visit_id": "bigint", "qc": "array<string>"}
IDS = {"person_id": "bigint", "visit_occurrence_id": "bigint", "procedure_occurrence_id": "bigint"}
VISITS = """
    person_id | visit_occurrence_id | visit_start_datetime | visit_end_datetime
    1         | 11                  | 2024-01-10 08:00     | 2024-01-12 10:00
    1         | 12                  | 2024-03-01 09:00     | null
    1         | 13                  | 2024-03-02 07:00     | 2024-03-02 08:00
    2         | 21                  | 2024-01-10 08:00     | 2024-01-10 09:00
"""
PROCEDURES = """
    person_id | procedure_occurrence_id | procedure_datetime | is_imaging
    1         | 101                     | 2024-01-11 09:00   | true
    1         | 102                     | 2024-01-11 09:30   | false
    1         | 103                     | 2024-03-01 10:00   | true
    1         | 104                     | 2024-03-01 16:00   | true
    2         | 201                     | 2024-06-01 08:00   | true
"""


@pytest.fixture
def link(spark: SparkSession):
    def run(studies: str, orders: str = "", hours: float = 24) -> DataFrame:
        head = "person_id | study_uid | accession | visit_occurrence_id | procedure_occurrence_id\n"
        times = {"visit_start_datetime": "timestamp", "visit_end_datetime": "timestamp", "procedure_datetime": "timestamp"}
        told = rows(spark, None, "person_id | study_uid | accession | at | named_visit_id | qc\n" + studies, **STUDY)
        asked = rows(spark, None, head + (orders or "1 | x | x | null | null"), **IDS)
        visits, procedures = (rows(spark, None, text, is_imaging="boolean", **IDS, **times) for text in (VISITS, PROCEDURES))
        return linked(told, asked, visits, procedures, hours=hours)

    return run


def test_the_rules_in_their_order(link) -> None:
    told = link("""
        1 | named  | A1   | 2024-01-11 09:00 | 12   | []
        1 | uid    | A2   | 2024-01-11 09:00 | null | []
        1 | number | A3   | 2024-01-11 09:00 | null | []
        1 | time   | A4   | 2024-01-11 09:00 | null | [kept]
        1 | none   | null | 2023-01-11 09:00 | null | []
        1 | undated | null | null            | null | []
    """, """
        1 | named  | A1  | 11   | 104
        1 | uid    | A9  | 12   | 103
        1 | other  | A2  | 13   | 104
        1 | other2 | A3  | 13   | null
    """)  # fmt: skip
    assert_rows(told, """
        study_uid | visit_occurrence_id | visit_link_rule | procedure_occurrence_id | procedure_link_rule | qc
        named     | 12                  | named           | 104                     | study_uid           | []
        uid       | 12                  | study_uid       | 103                     | study_uid           | []
        number    | 13                  | accession       | 101                     | patient_time        | []
        time      | 11                  | patient_time    | 101                     | patient_time        | [kept]
        none      | null                | null            | null                    | null                | []
        undated   | null                | null            | null                    | null                | []
    """)


def test_two_candidates_are_no_link_and_no_lower_rule_decides(link) -> None:
    told = link("""
        1 | twice  | A1   | 2024-01-11 09:00 | null | []
        1 | number | A2   | 2024-01-11 09:00 | null | []
        1 | days   | null | 2024-03-01 12:00 | null | []
        1 | same   | null | 2024-01-11 09:00 | null | []
    """, """
        1 | twice | A1 | 12 | 103
        1 | twice | A1 | 13 | 103
        1 | x     | A2 | 11 | 103
        1 | y     | A2 | 12 | 104
        1 | same  | q  | 11 | 101
        1 | same  | r  | 11 | 101
    """)  # fmt: skip
    assert_rows(told, """
        study_uid | visit_occurrence_id | visit_link_rule | procedure_occurrence_id | procedure_link_rule | qc
        twice     | null                | null            | 103                     | study_uid           | [visit_ambiguous]
        number    | null                | null            | null                    | null                | [procedure_ambiguous, visit_ambiguous]
        days      | null                | null            | null                    | null                | [procedure_ambiguous, visit_ambiguous]
        same      | 11                  | study_uid       | 101                     | study_uid           | []
    """)


@pytest.mark.parametrize(
    ("at", "hours", "visit", "procedure"),
    [
        ("2024-01-10 08:00", 0, 11, None),
        ("2024-01-10 07:59", 0, None, None),
        ("2024-01-12 10:00", 0, 11, None),
        ("2024-01-12 12:00", 2, 11, None),
        ("2024-01-12 12:01", 2, None, None),
        ("2024-01-11 10:30", 1.5, 11, 101),
        ("2024-01-11 10:31", 1.5, 11, None),
        ("2024-03-01 10:00", 0, 12, 103),  # the visit without an end
        ("2024-03-01 10:00", 2, 12, 103),
        ("2024-03-01 13:00", 5, 12, None),  # of the two procedures none
    ],
)
def test_the_window_in_hours(link, at: str, hours: float, visit: int | None, procedure: int | None) -> None:
    row = link(f"1 | s | null | {at} | null | []", hours=hours).first()
    if (at, hours) == ("2024-03-01 10:00", 0):
        visit = None  # a visit without an end ends as it starts: an hour before
    assert (row["visit_occurrence_id"], row["procedure_occurrence_id"]) == (visit, procedure)


def test_an_order_of_somebody_else_is_no_link_but_a_flag(link) -> None:
    told = link("2 | s | A1 | 2030-01-01 09:00 | null | []", "1 | s | A1 | 11 | 101")
    assert_rows(told, """
        study_uid | visit_occurrence_id | visit_link_rule | procedure_occurrence_id | qc
        s         | null                | null            | null                    | [order_of_another_person]
    """)


def test_what_is_named_but_not_in_the_lake_is_flagged_and_the_next_rule_decides(link) -> None:
    told = link("""
        1 | gone  | A1   | 2024-01-11 09:00 | 99   | []
        1 | half  | null | 2024-01-11 09:00 | null | []
    """, """
        1 | half | q | 77 | 888
        1 | half | q | 12 | null
    """)  # fmt: skip
    assert_rows(told, """
        study_uid | visit_occurrence_id | visit_link_rule | procedure_occurrence_id | procedure_link_rule | qc
        gone      | 11                  | patient_time    | 101                     | patient_time        | [orphan_visit]
        half      | 12                  | study_uid       | 101                     | patient_time        | [orphan_procedure, orphan_visit]
    """)


def test_every_study_stays_once(link, spark: SparkSession) -> None:
    studies = "\n".join(f"{1 + n % 2} | s{n} | A{n % 3} | 2024-01-10 08:30 | null | []" for n in range(12))
    orders = "\n".join(f"{1 + n % 2} | s{n % 5} | A{n % 4} | {11 if n % 2 == 0 else 21} | null" for n in range(20))
    told = link(studies, orders)
    assert sorted(r["study_uid"] for r in told.collect()) == sorted(f"s{n}" for n in range(12))
    assert told.where("visit_link_rule IS NULL AND visit_occurrence_id IS NOT NULL").count() == 0
