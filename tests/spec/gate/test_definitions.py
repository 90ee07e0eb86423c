"""What is asked of OMOP tables: the dashboard's own facts, resolved from the promises; what applies, and to which rows."""

from __future__ import annotations

import re
from collections import Counter
from datetime import date
from pathlib import Path

import pytest
from pyspark.sql import SparkSession
from tests.rooms.dqd_table import CONF, MADE
from tests.shared import shared
from tests.tables import rows

from medlake.doors.settings import Conf
from medlake.gate.definitions import definitions
from medlake.gate.resolve import resolved
from medlake.gate.scan import scan_plan
from medlake.grammar.contract import promise
from medlake.grammar.errors import ConfigError
from medlake.steps.gate import asked, evaluated, figures_of, silver_checks, silver_held

SAID = asked(Conf())


@pytest.mark.parametrize("name", sorted(MADE))
def test_the_facts_are_the_dashboards(name: str) -> None:
    folder = shared("standards", "omop", "dqd")
    assert (CONF / name).read_text(encoding="utf-8") == MADE[name](folder), "python -m tests.rooms.dqd_table makes it anew"


def test_silver_promises_allow_a_thousand_checks() -> None:
    checks = silver_checks(SAID)
    able = [c for c in checks if not c.why_not]
    print(f"\n{len(checks):,} checks of {len(silver_held(SAID))} silver tables, {len(able):,} of them can be computed; "
          f"{len([c for c in checks if c.blocks])} block; {len({c.name for c in checks})} types")  # fmt: skip
    assert len(checks) >= 1000
    assert len(SAID.kinds) == 27
    assert {c.name for c in checks} == set(SAID.kinds) - {"fkClass"}, "fkClass is asked of DRUG_ERA and its like alone"
    assert len({(c.asked.table, c.name, c.asked.field, c.asked.concept) for c in checks}) == len(checks), "a key of ops.dq_check"
    assert all(c.why_not for c in checks if c.asked.field == "provider_id" and c.asked.table == "measurement" and c.name != "cdmField")
    blocking = {(c.name, c.asked.field) for c in checks if c.blocks and c.asked.table == "measurement"}
    assert blocking == {("isPrimaryKey", "measurement_id"), ("isForeignKey", "person_id"), *[
        ("isRequired", f) for f in ("measurement_id", "person_id", "measurement_concept_id", "measurement_date", "measurement_type_concept_id")
    ]}  # fmt: skip
    assert ("isRequired", "year_of_birth") not in {(c.name, c.asked.field) for c in checks if c.blocks}, "its promise allows null"


@pytest.mark.parametrize(("checks", "fields", "told"), [
    ({"check": {}}, {"person": {"person_id": "integer isRequired"}}, "is no check"),
    ({"check": {}, "blocking": {"isWanted": ["*"]}}, {}, "there is no check isWanted"),
])  # fmt: skip
def test_a_word_that_is_no_check_is_told(checks: dict, fields: dict, told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        definitions(checks, fields, {})


def test_each_table_is_read_twice_for_all_its_checks(spark: SparkSession, tmp_path: Path) -> None:
    held = {name: columns for name, columns in silver_held(SAID).items() if name in ("measurement", "note", "person", "visit_occurrence", "death")}
    tables = {}
    for name in held:
        spark.createDataFrame([], promise(f"silver.{name}").schema).write.parquet(str(tmp_path / name))
        tables[name] = spark.read.parquet(str(tmp_path / name))
    checks = [c for c in resolved(SAID, held, {}) if c.asked.table in held and not c.why_not]
    plan = scan_plan(checks, held, {name: promise(f"silver.{name}").key[0] for name in held}, as_of=date(2026, 7, 15))
    told = figures_of(spark, plan, tables, tables)._jdf.queryExecution().executedPlan().toString()
    n = {name: len(re.findall(rf"FileScan parquet \[{name}_id", told)) for name in ("measurement", "note")}
    print(f"\n{len([c for c in checks if c.asked.table == 'measurement'])} checks of measurement, scans: {n}")
    assert n == {"measurement": 2, "note": 2}


def test_thresholds_denominators_and_what_does_not_apply(spark: SparkSession) -> None:
    person = rows(spark, None, """
        person_id | gender_concept_id | year_of_birth
        1         | 8507              | 1980
        2         | 8532              | 1936
        3         | 8532              | null
    """, person_id="bigint", gender_concept_id="int", year_of_birth="int")
    death = rows(spark, None, "person_id | death_date\n1 | 2020-01-31", person_id="bigint", death_date="date")
    visit = rows(spark, None, """
        visit_occurrence_id | person_id | visit_start_date | visit_end_date
        7                   | 1         | 2020-01-01       | null
    """, visit_occurrence_id="bigint", person_id="bigint", visit_start_date="date", visit_end_date="date")
    measurement = rows(spark, None, """
        measurement_id | person_id | measurement_date | visit_occurrence_id | measurement_concept_id | unit_concept_id | value_as_number
        11             | 1         | 1979-12-31       | null                | 3004410                | 8554            | 5.0
        12             | 1         | 2020-03-31       | null                | 3004410                | 1               | 5.0
        13             | 1         | 2020-04-01       | null                | 3004410                | 1               | null
        14             | 2         | 1930-01-01       | null                | 0                      | null            | 5.0
        15             | 3         | 1930-01-01       | null                | 0                      | null            | 5.0
        16             | 1         | 2020-01-08       | 7                   | 0                      | 0               | 5.0
        17             | 1         | 2020-01-09       | 7                   | 0                      | 0               | null
    """, measurement_id="bigint", person_id="bigint", measurement_date="date", visit_occurrence_id="bigint", measurement_concept_id="int",
        unit_concept_id="int", value_as_number="double")  # fmt: skip
    tables = {"person": person, "death": death, "visit_occurrence": visit, "measurement": measurement}
    checks = resolved(SAID, {name: dict(frame.dtypes) for name, frame in tables.items()}, {})
    found = evaluated(spark, SAID, checks, tables, tables, as_of=date(2026, 7, 15), oldest_year=1936)
    have = {
        (v.check.name, v.check.asked.field, v.check.asked.concept): (v.status, v.measured.n_wrong, v.measured.n_rows, v.measured.keys)
        for v in found if v.check.asked.table == "measurement"
    }  # fmt: skip
    assert have["plausibleAfterBirth", "measurement_date", ""] == ("failed", 1, 5, ("11",)), "no birth of 2 (capped) and 3 (unknown)"
    assert have["plausibleBeforeDeath", "measurement_date", ""] == ("failed", 1, 5, ("13",)), "60 days after death are allowed"
    assert have["withinVisitDates", "measurement_date", ""] == ("failed", 1, 2, ("17",)), "a week around the visit is allowed"
    assert have["standardConceptRecordCompleteness", "measurement_concept_id", ""][:3] == ("failed", 4, 7)
    assert have["standardConceptRecordCompleteness", "unit_concept_id", ""][:3] == ("failed", 1, 5), "of rows with a value"
    assert have["plausibleUnitConceptIds", "measurement_concept_id", "3004410"] == ("failed", 1, 2, ("12",))
    assert have["measurePersonCompleteness", "", ""][:3] == ("passed", 0, 3)
    assert have["isForeignKey", "visit_occurrence_id", ""][:3] == ("passed", 0, 7)
    assert have["isForeignKey", "measurement_concept_id", ""][0] == "not_applicable", "there are no concepts"
    assert have["plausibleValueLow", "measurement_date", ""][:3] == ("failed", 2, 7)
    assert have["measureValueCompleteness", "unit_concept_id", ""][:3] == ("passed", 2, 7), "28 %, and 100 % may be missing"
    by = Counter((v.check.asked.table, v.check.name) for v in found if v.status == "failed")
    assert by["visit_occurrence", "plausibleUnitConceptIds"] == 0 and by["measurement", "plausibleUnitConceptIds"] == 1
