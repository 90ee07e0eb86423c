"""What the page says of the checks."""

from __future__ import annotations

from pyspark.sql import SparkSession
from tests.tables import filled

from medlake.gate import summary

CHECKS = """
    night_id | table  | check                             | field             | concept | level | status         | stage     | blocks | n_violated | n_denominator | percent_violated
    2        | person | plausibleValueLow                 | year_of_birth     |         | field | failed         | published | false  | 3          | 100           | 3
    2        | person | isRequired                        | gender_concept_id |         | field | failed         | published | true   | 1          | 100           | 1
    2        | person | standardConceptRecordCompleteness | race_concept_id   |         | field | failed         | published | false  | 100        | 100           | 100
    2        | person | cdmTable                          |                   |         | table | passed         | published | false  | 0          | 1             | 0
    2        | note   | isRequired                        | note_id           |         | field | passed         | published | true   | 0          | 50            | 0
    2        | note   | plausibleValueLow                 | note_id           |         | field | not_applicable | published | false  | 0          | 0             | 0
    2        | note   | isRequired                        | note_text         |         | field | failed         | candidate | true   | 9          | 50            | 18
    1        | note   | isRequired                        | note_text         |         | field | failed         | published | true   | 9          | 50            | 18
"""  # fmt: skip


def test_checks_by_table_without_what_fails_by_design(spark: SparkSession) -> None:
    told = summary.told(filled(spark, "ops.dq_check", CHECKS).where("night_id = 2 AND stage = 'published'").collect())
    assert summary.by_table(told) == [("note", 1, 0), ("person", 0, 2)]
    assert [r["field"] for r in summary.failed(told)] == ["gender_concept_id", "year_of_birth"], "what blocks comes first"
