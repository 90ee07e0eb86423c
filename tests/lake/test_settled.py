"""Rows that many queries of a build read are made once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from medlake.doors.lake import Lake
from medlake.steps import sources
from medlake.steps.settled import Once, settled
from medlake.steps.sources import HOLDERS, Bronze


def test_rows_are_made_once_however_many_ask_at_a_time(spark: SparkSession) -> None:
    made = []

    def make() -> DataFrame:
        made.append(1)
        return spark.range(3).withColumn("chance", F.rand())

    once = Once(lambda: settled(make()))
    with ThreadPoolExecutor(4) as pool:
        asked = list(pool.map(lambda _: once(), range(8)))
    assert made == [1]
    first, *others = [sorted(tuple(row) for row in rows.collect()) for rows in asked]
    assert len(first) == 3 and all(other == first for other in others)


def test_of_no_rows_nothing_more_is_planned(spark: SparkSession) -> None:
    none = settled(spark.range(3).where("id > 5"))
    plan = none.join(spark.range(9), "id", "left")._jdf.queryExecution().optimizedPlan().toString()
    assert plan.startswith("LocalRelation <empty>") and none.schema == spark.range(1).schema


@pytest.mark.parametrize("limit", [0, sources.SMALL])
def test_a_bronze_table_has_the_same_rows_whether_it_is_small_or_not(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: int
) -> None:
    monkeypatch.setattr(sources, "SMALL", limit)
    lake = Lake(spark, tmp_path)
    keys = {"source": "s", "file_sha256": "f"}
    rows = spark.range(20).select(
        *[(F.lit(keys[f.name]) if f.name in keys else F.col("id")).cast(f.dataType).alias(f.name) if f.dataType.typeName() in ("string", "long", "integer")
          else F.lit(None).cast(f.dataType).alias(f.name) for f in lake.read("bronze.csv_record").schema.fields]
    )  # fmt: skip
    lake.append("bronze.csv_record", rows)
    bronze = Bronze(lake)
    assert set(bronze) == set(HOLDERS)
    assert sorted(row["row"] for row in bronze["csv_record"].where("source = 's'").collect()) == list(range(20))
    assert bronze["csv_record"].where("source = 't'").count() == bronze["fhir_resource"].count() == 0
    kept = "LogicalRDD" in bronze["csv_record"]._jdf.queryExecution().analyzed().toString()
    assert kept == (limit > 0)
