"""conf/units.toml as a table to join with."""

from __future__ import annotations

from pyspark.sql import DataFrame
from pyspark.sql import types as T

from medlake.steps.context import Context


def units(ctx: Context) -> DataFrame:
    """(code, unit, factor, shift, canonical_unit, low, high) from conf/units.toml; a null code means any code."""
    said = ctx.conf.toml("units.toml")
    rows: list[tuple[str | None, str, float, float, str, float | None, float | None]] = [
        (None, unit, 1.0, 0.0, canonical, None, None)
        for canonical, spellings in said.get("unit", {}).items()
        for unit in {canonical, *spellings}
    ]
    for code, m in said.get("measurement", {}).items():
        low, high = (None if m.get(k) is None else float(m[k]) for k in ("low", "high"))
        for unit, rule in {m["unit"]: 1.0, **m.get("convert", {})}.items():
            factor, shift = rule if isinstance(rule, list) else (rule, 0.0)
            rows.append((code, unit, float(factor), float(shift), m["unit"], low, high))
    schema = T.StructType(
        [
            T.StructField(n, k())
            for n, k in (
                ("code", T.StringType), ("unit", T.StringType), ("factor", T.DoubleType), ("shift", T.DoubleType),
                ("canonical_unit", T.StringType), ("low", T.DoubleType), ("high", T.DoubleType),
            )
        ]
    )  # fmt: skip
    return ctx.spark.createDataFrame(rows, schema)


EXPECTED = (
    "code string, expected struct<ages: array<struct<from_years: double, below_years: double, low: double, "
    "high: double>>, change: double, within_days: int>"
)


def expected(ctx: Context) -> DataFrame:
    """(code, expected) from conf/units.toml: what is usual at which age, and how much a value may change in a time."""
    rows = []
    for code, m in ctx.conf.toml("units.toml").get("measurement", {}).items():
        ages = [tuple(float(a[k]) for k in ("from", "below", "low", "high")) for a in m.get("ages", [])]
        change = m.get("change", {})
        if ages or change:
            by, days = change.get("by"), change.get("days")
            rows.append((code, (ages, None if by is None else float(by), days)))
    return ctx.spark.createDataFrame(rows, EXPECTED)
