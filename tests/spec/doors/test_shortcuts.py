"""The short ways to the JVM: names are remembered, values are not; local rows are what PySpark would make of them."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import pytest
from py4j.java_gateway import JavaClass, JavaMember
from pyspark.errors import PySparkTypeError, PySparkValueError
from pyspark.sql import DataFrame, Row, SparkSession
from pyspark.sql.types import IntegerType, StructField, StructType

KINDS = """s string, n int, m bigint, x double, yes boolean, day date, at timestamp, b binary,
    l array<string>, d map<string,double>, o struct<a:int,b:array<double>>"""
ROWS = [
    ("é", 1, 2**40, float("nan"), True, date(1900, 1, 1), datetime(2020, 3, 1, 12, 30, 5, 7, tzinfo=UTC), b"\0", ["a", None], {"k": 0.5}, (1, [0.1])),
    ("", -1, -(2**40), -0.0, False, date(2024, 2, 29), datetime(1950, 1, 1, tzinfo=UTC), b"", [], {}, (None, None)),
    (None,) * 11,
]


def plan(frame: DataFrame) -> str:
    return frame._jdf.queryExecution().optimizedPlan().toString()


def test_a_name_is_asked_for_once(spark: SparkSession, monkeypatch: pytest.MonkeyPatch) -> None:
    jvm = spark.sparkContext._jvm
    client, asked = jvm._gateway_client, []
    send = client.send_command
    monkeypatch.setattr(client, "send_command", lambda command, *rest, **more: asked.append(command) or send(command, *rest, **more))
    found = [jvm.java.util.Locale.forLanguageTag for _ in range(3)]
    assert isinstance(jvm.java.util.Locale, JavaClass) and isinstance(found[0], JavaMember)
    assert len(asked) <= 4 and all(member is found[0] for member in found)
    assert found[0]("de").getLanguage() == "de"


def test_values_are_asked_for_each_time(spark: SparkSession) -> None:
    """What a property is when it is asked for, and not what it was."""
    system = spark.sparkContext._jvm.java.lang.System
    for said in ("1", "2"):
        system.setProperty("medlake.test", said)
        assert system.getProperty("medlake.test") == said
    assert "MAX_VALUE" not in vars(spark.sparkContext._jvm.java.lang.Long)
    assert spark.sparkContext._jvm.java.lang.Long.MAX_VALUE == 2**63 - 1
    assert "MAX_VALUE" not in vars(spark.sparkContext._jvm.java.lang.Long)


def test_what_is_not_there_is_told(spark: SparkSession) -> None:
    with pytest.raises(TypeError, match="callable"):
        spark.sparkContext._jvm.java.util.NoSuchThing()


def test_rows_are_what_pyspark_makes_of_them(spark: SparkSession) -> None:
    """An argument that says what holds anyway makes the long way be taken."""
    short, long = spark.createDataFrame(ROWS, KINDS), spark.createDataFrame(ROWS, KINDS, verifySchema=True)
    assert plan(short).startswith("LocalRelation") and not plan(long).startswith("LocalRelation")
    assert short.schema == long.schema
    assert list(map(str, short.collect())) == list(map(str, long.collect()))
    assert short.collect()[0]["at"].timestamp() == ROWS[0][6].timestamp()


@pytest.mark.parametrize("rows", [[Row(a=1, b="x")], [(1, "x")], [[1, "x"]], [(1, "x"), (None, None)]])
def test_tuples_lists_and_rows_are_rows(spark: SparkSession, rows: list[Any]) -> None:
    made = spark.createDataFrame(rows, "a int, b string")
    assert plan(made).startswith("LocalRelation") and [tuple(r) for r in made.collect()] == [tuple(r) for r in rows]


@pytest.mark.parametrize(("rows", "kinds"), [
    ([(datetime(2020, 1, 1),)], "at timestamp"),  # of what zone?
    ([{"a": 1}], "a int"),
    ([(1,)], "a short"),
    ([(5,)], "a string"),
])  # fmt: skip
def test_what_arrow_does_not_take_as_it_is_goes_the_long_way(spark: SparkSession, rows: list[Any], kinds: str) -> None:
    made = spark.createDataFrame(rows, kinds)
    assert not plan(made).startswith("LocalRelation") and made.count() == 1


@pytest.mark.parametrize("row", [("x",), (None,), (2**31,), (1, 2)])
def test_rows_that_do_not_fit_are_refused_in_pysparks_words(spark: SparkSession, row: tuple[Any, ...]) -> None:
    kind = StructType([StructField("a", IntegerType(), nullable=False)])
    with pytest.raises((PySparkTypeError, PySparkValueError)):
        spark.createDataFrame([row], kind)


def test_what_is_joined_to_no_rows_is_not_planned(spark: SparkSession) -> None:
    none = spark.createDataFrame([], "id bigint")
    assert plan(spark.range(9).join(none, on="id", how="inner")).startswith("LocalRelation <empty>")
