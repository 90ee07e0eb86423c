"""The door of the report: a lake in, a page on disk, with small counts of people hidden."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from medlake.doors.lake import Lake
from medlake.doors.ledger import Night
from medlake.doors.settings import Conf, load
from medlake.grammar.contract import promise
from medlake.steps import report
from medlake.steps.context import Context, Progress
from medlake.steps.page_models import subgroups


@pytest.fixture
def ctx(spark: SparkSession, tmp_path: Path) -> Context:
    conf = Conf()
    settings = load(conf, "local", lake=tmp_path / "lake", landing=tmp_path / "landing")
    lake = Lake(spark, settings.lake)
    return Context(spark, lake, settings, conf, Night(1, date(2024, 9, 17)), b"", Progress())


def filled(spark: SparkSession, table: str, n: int, **columns: Any) -> DataFrame:
    """`n` rows of a promised table; what is not given is null, or the empty value of its type."""
    made = spark.range(n)
    for column in promise(table).columns.values():
        given = columns.get(column.name)
        kind = promise(table).schema[column.name].dataType
        if given is not None:
            value = F.expr(given) if isinstance(given, str) else F.lit(given)
        elif column.nullable:
            value = F.lit(None)
        elif kind.simpleString().startswith("array"):
            value = F.array()
        elif kind.simpleString() == "string":
            value = F.lit("")
        else:
            value = F.lit(0)
        made = made.withColumn(f"_{column.name}", value.cast(kind))
    return made.select(*(F.col(f"_{name}").alias(name) for name in promise(table).columns))


def test_an_empty_lake_gives_a_page(ctx: Context) -> None:
    report.run(ctx)
    page = (ctx.settings.lake / "report" / "latest.html").read_text(encoding="utf-8")
    assert "Nobody yet." in page
    assert page == (ctx.settings.lake / "report" / "1.html").read_text(encoding="utf-8")


def test_people_are_counted_and_few_people_are_not(ctx: Context) -> None:
    people = filled(
        ctx.spark,
        "silver.person",
        60,
        person_id="id",
        gender_concept_id="IF(id % 2 = 0, 8532, 8507)",
        year_of_birth=1980,
        source="CASE WHEN id < 7 THEN 'west' WHEN id < 30 THEN 'south' ELSE 'north' END",
        n_sources=1,
    )
    results = filled(
        ctx.spark,
        "silver.measurement",
        120,
        measurement_id="id",
        person_id="id % 60",
        measurement_date="DATE'2020-05-01'",
        measurement_datetime="TIMESTAMP'2020-05-01 08:00:00'",
        qc="IF(id < 3, array('unit_unknown'), array())",
    )
    ctx.lake.merge("silver.person", people)
    ctx.lake.merge("silver.measurement", results)
    content = report.gather(ctx)
    assert content.n_persons == 60
    assert [(one.name, one.n, one.n_mark) for one in content.persons_by_source] == [
        ("north", 30, None),
        ("west", None, "<11"),
        ("south", None, "hidden"),
    ]
    assert sum(one.n or 0 for one in content.age_sex) == 60
    assert [(one.kind, one.year, one.n) for one in content.records_by_year] == [
        ("silver.measurement", 2020, 120)
    ]
    assert [(one.table, one.n_flagged) for one in content.quality] == [
        ("silver.person", 0),
        ("silver.measurement", 3),
    ]


def test_a_subgroup_is_judged_on_enough_people_with_and_without_the_outcome(spark: SparkSession) -> None:
    evaluation = spark.createDataFrame(
        [
            ("t", "m", "sex", "8532", 60, 20, 0.8, 0.1),
            ("t", "m", "sex", "8507", 40, 35, 0.7, 0.1),
            ("t", "m", "age_band", "0–17", 8, 2, 0.9, 0.1),
            ("t", "m", "age_band", "18–39", 52, 20, 0.8, 0.1),
            ("t", "m", "age_band", "40+", 40, 29, 0.6, 0.1),
        ],
        "task string, model string, subgroup string, level string, n bigint, n_positive bigint,"
        " auroc double, brier double",
    )
    told = subgroups(evaluation, 11).orderBy("subgroup", "level").collect()
    assert [(r["level"], r["n"], r["n_mark"], r["auroc"]) for r in told] == [
        ("0–17", None, "<11", None),
        ("18–39", 52, None, 0.8),
        ("40+", None, "hidden", 0.6),
        ("8507", 40, None, None),
        ("8532", 60, None, 0.8),
    ]
