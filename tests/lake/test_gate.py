"""Write, audit, publish: what breaks a blocking check never becomes a version; why is told and written down."""

from __future__ import annotations

import threading
from datetime import date
from pathlib import Path
from types import SimpleNamespace

import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from tests.tables import assert_rows, rows

from medlake.doors.lake import Lake
from medlake.doors.settings import Conf
from medlake.grammar.contract import promise
from medlake.grammar.errors import QualityGateError
from medlake.steps.gate import Gate

PERSONS = """
    person_id | gender_concept_id | race_concept_id | ethnicity_concept_id | source | n_sources | qc
    1         | 8507              | 0               | 0                    | here   | 1         | []
    2         | 8532              | 0               | 0                    | here   | 1         | []
"""


def whole(spark: SparkSession, table: str, text: str) -> DataFrame:
    """The rows with all columns of the promise, each nullable."""
    to, given = promise(table), rows(spark, table, text)
    blank = {c.name: F.lit(None).cast(to.schema[c.name].dataType) for c in to.columns.values() if c.name not in given.columns}
    return given.withColumns(blank).select(*to.columns)


def notes(spark: SparkSession, text: str) -> DataFrame:
    said = whole(spark, "silver.note", text)
    stamp = {"note_date": F.to_date(F.lit("2020-01-01")), "note_datetime": F.to_timestamp(F.lit("2020-01-01")), "note_type_concept_id": F.lit(1)}
    return said.withColumns({**stamp, "n_replaced": F.lit(0), "source": F.lit("here"), "qc": F.array().cast("array<string>")})


def test_a_table_that_breaks_a_blocking_check_stays_as_it_was(spark: SparkSession, tmp_path: Path) -> None:
    lake = Lake(spark, tmp_path)
    ctx = SimpleNamespace(spark=spark, lake=lake, conf=Conf(), night=SimpleNamespace(number=3, as_of=date(2024, 1, 1)), lock=threading.Lock())
    gate = Gate(ctx)
    lake.merge("silver.person", whole(spark, "silver.person", PERSONS), audit=gate.of("person"))
    good = "note_id | person_id | note_text\n11 | 1 | fine\n12 | 2 | fine"
    lake.merge("silver.note", notes(spark, good), audit=gate.of("note"))
    before = lake.version("silver.note")

    bad = "note_id | person_id | note_text\n11 | 1 | fine\n11 | 1 | fine\n77 | 777 | fine\n78 | 2 | null\n79 | 2 | fine"
    with pytest.raises(QualityGateError) as refused:
        lake.merge("silver.note", notes(spark, bad), audit=gate.of("note"))
    told = str(refused.value)
    assert refused.value.exit_code == 5
    assert f"version {before} stays as it was" in told
    assert "note.person_id isForeignKey: 1 of 5 rows" in told and "777" not in told, "no key in a message"
    assert lake.version("silver.note") == before
    assert_rows(lake.read("ops.dq_check"), """
        night_id | table | check        | field     | stage     | status | blocks | n_violated | n_denominator | sample_keys
        3        | note  | isForeignKey | person_id | candidate | failed | true   | 1          | 5             | [77]
        3        | note  | isPrimaryKey | note_id   | candidate | failed | true   | 2          | 5             | [11]
        3        | note  | isRequired   | note_text | candidate | failed | true   | 1          | 5             | [78]
    """)

    only_two = lambda table: table.where("person_id = 2")  # noqa: E731
    with pytest.raises(QualityGateError, match=r"note_id isPrimaryKey: 2 of 3 rows"):
        lake.merge("silver.note", notes(spark, "note_id | person_id | note_text\n11 | 2 | fine\n12 | 2 | fine"), within=only_two, audit=gate.of("note"))
    assert lake.version("silver.note") == before, "a key of somebody whom this build does not look at"
    lake.merge("silver.note", notes(spark, "note_id | person_id | note_text\n13 | 2 | new"), within=only_two, audit=gate.of("note"))
    assert {r[0] for r in lake.read("silver.note").select("note_id").collect()} == {11, 13}


def test_imaging_tables_have_no_such_checks() -> None:
    gate = Gate(SimpleNamespace(conf=Conf()))
    assert gate.of("image_occurrence") is None
    assert {c.name for c in gate.checks} == {"isPrimaryKey", "isRequired", "isForeignKey"}
