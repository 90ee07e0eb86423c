"""The lake door on real Delta: a merge changes what must change, and nothing twice."""

from __future__ import annotations

from pathlib import Path

import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F
from tests.tables import assert_rows, rows

from medlake.doors.lake import Lake
from medlake.grammar.errors import ContractError

FIRST = """
    person_id | shift_days
    1         | -5
    2         | -6
"""


def test_a_merge_makes_the_table_hold_exactly_the_rows(spark: SparkSession, tmp_path: Path) -> None:
    lake = Lake(spark, tmp_path)
    assert lake.read("vault.date_offset").count() == 0
    assert lake.merge("vault.date_offset", rows(spark, "vault.date_offset", FIRST)).inserted == 2
    version = lake.version("vault.date_offset")
    assert lake.merge("vault.date_offset", rows(spark, "vault.date_offset", FIRST)).total == 0
    assert lake.version("vault.date_offset") == version, "a merge that changes nothing makes no version"
    changes = lake.merge("vault.date_offset", rows(spark, "vault.date_offset", """
        person_id | shift_days
        2         | -7
        3         | -8
    """))
    assert (changes.inserted, changes.updated, changes.deleted) == (1, 1, 1)
    assert_rows(lake.read("vault.date_offset"), """
        person_id | shift_days
        2         | -7
        3         | -8
    """)


def test_a_table_without_rows_costs_nothing(spark: SparkSession, tmp_path: Path) -> None:
    lake, none = Lake(spark, tmp_path), rows(spark, "vault.date_offset", "person_id | shift_days")
    assert lake.merge("vault.date_offset", none).total == 0 == lake.merge("vault.date_offset", none).total
    assert lake.version("vault.date_offset") == 0 and lake.read("vault.date_offset").count() == 0
    assert "LocalRelation <empty>" in lake.read("vault.date_offset")._jdf.queryExecution().optimizedPlan().toString()
    assert lake.merge("vault.date_offset", rows(spark, "vault.date_offset", FIRST)).inserted == 2
    assert lake.read("vault.date_offset").count() == 2
    assert lake.merge("vault.date_offset", none, keep=True).total == 0 and lake.version("vault.date_offset") == 1


def test_no_rows_take_all_away(spark: SparkSession, tmp_path: Path) -> None:
    lake, none = Lake(spark, tmp_path), rows(spark, "vault.date_offset", "person_id | shift_days")
    lake.merge("vault.date_offset", rows(spark, "vault.date_offset", FIRST))
    assert lake.merge("vault.date_offset", none, within=lambda table: table.where("person_id = 1")).deleted == 1
    assert lake.merge("vault.date_offset", none).deleted == 1
    assert lake.read("vault.date_offset").count() == 0


def test_a_scope_and_keep_protect_what_is_not_theirs(spark: SparkSession, tmp_path: Path) -> None:
    lake = Lake(spark, tmp_path)
    lake.merge("vault.date_offset", rows(spark, "vault.date_offset", FIRST))
    three = rows(spark, "vault.date_offset", "person_id | shift_days\n3 | -1")
    lake.merge("vault.date_offset", three, scope=F.col("person_id") == 1)
    assert {r[0] for r in lake.read("vault.date_offset").select("person_id").collect()} == {2, 3}
    lake.merge("vault.date_offset", rows(spark, "vault.date_offset", "person_id | shift_days\n4 | -1"), keep=True)
    assert {r[0] for r in lake.read("vault.date_offset").select("person_id").collect()} == {2, 3, 4}


def test_an_append_of_one_batch_counts_once(spark: SparkSession, tmp_path: Path) -> None:
    lake = Lake(spark, tmp_path)
    for _ in range(2):
        lake.append("vault.date_offset", rows(spark, "vault.date_offset", FIRST), txn=("app", 1))
    assert lake.read("vault.date_offset").count() == 2
    lake.append("vault.date_offset", rows(spark, "vault.date_offset", "person_id | shift_days\n9 | -1"), txn=("app", 2))
    assert lake.read("vault.date_offset").count() == 3


def test_a_promise_that_is_broken_lists_every_fault(spark: SparkSession, tmp_path: Path) -> None:
    lake = Lake(spark, tmp_path)
    with pytest.raises(ContractError) as fault:
        lake.merge("vault.date_offset", spark.createDataFrame([("x", 1)], "person_id string, colour int"))
    assert len(fault.value.faults) == 3
    with pytest.raises(ContractError) as fault:
        lake.merge("vault.date_offset", rows(spark, "vault.date_offset", "person_id | shift_days\n1 | null\n1 | -2"))
    assert len(fault.value.faults) == 2
    assert lake.version("vault.date_offset") is None
