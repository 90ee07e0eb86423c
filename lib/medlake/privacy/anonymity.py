"""How anonymous a release is: k-anonymity, l-diversity, t-closeness, in one pass over its combinations.

Rows that agree in all quasi-identifiers are one class. k: rows of the smallest class. l: least number of distinct
sensitive values in a class. t: the greatest distance of a class's sensitive values from those of all rows, half the sum
of differences for words, the earth mover's distance over ordered values for numbers. Definitions as in pycanon.
"""

from __future__ import annotations

from collections.abc import Sequence

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F
from pyspark.sql import types as T

N = "_n"  # rows of a combination


def combinations(release: DataFrame, columns: Sequence[str]) -> DataFrame:
    """The distinct combinations of the columns with the number of their rows (`_n`)."""
    return release.groupBy(*columns).agg(F.count(F.lit(1)).alias(N))


def risk(told: DataFrame, quasi: Sequence[str], sensitive: Sequence[str] = ()) -> DataFrame:
    """One row (n_rows, n_classes, n_unique, k, mean_risk, l, t) from `combinations` of quasi and sensitive columns.

    mean_risk: the mean over rows of 1 / rows of their class. l and t: the worst over the sensitive columns; null
    without one. A null counts as a value.
    """
    classes = told.groupBy(*quasi).agg(F.sum(N).alias("n"))
    whole = classes.agg(
        F.coalesce(F.sum("n"), F.lit(0)).alias("n_rows"), F.count(F.lit(1)).alias("n_classes"),
        F.count_if(F.col("n") == 1).alias("n_unique"), F.min("n").alias("k"),
        (F.count(F.lit(1)) / F.sum("n")).alias("mean_risk"),
    )  # fmt: skip
    none = F.lit(None)
    for column in sensitive:
        whole = whole.crossJoin(_of_sensitive(told, quasi, column).toDF(f"l_{column}", f"t_{column}"))
    least = F.least(*[F.col(f"l_{c}") for c in sensitive], F.lit(None)) if sensitive else none
    worst = F.greatest(*[F.col(f"t_{c}") for c in sensitive], F.lit(None)) if sensitive else none
    return whole.select(
        "n_rows",
        "n_classes",
        "n_unique",
        "k",
        "mean_risk",
        least.cast("bigint").alias("l"),
        worst.cast("double").alias("t"),
    )


def _of_sensitive(told: DataFrame, quasi: Sequence[str], column: str) -> DataFrame:
    """(l, t) for one sensitive column."""
    values = told.groupBy(*quasi, F.col(column).alias("value")).agg(F.sum(N).alias("n"))
    by = Window.partitionBy(*[F.col(q) for q in quasi])
    shares = values.withColumn("q", F.col("n") / F.sum("n").over(by))
    overall = values.groupBy("value").agg(F.sum("n").alias("n_value"))
    total = values.agg(F.sum("n").alias("n_all"))
    overall = overall.crossJoin(total).select("value", (F.col("n_value") / F.col("n_all")).alias("p"))
    is_number = isinstance(told.schema[column].dataType, T.NumericType)
    distances = _moved(shares, overall, quasi) if is_number else _different(shares, overall, quasi)
    least = values.groupBy(*quasi).agg(F.count(F.lit(1)).alias("l")).agg(F.min("l").alias("l"))
    return least.crossJoin(distances.agg(F.max("distance").alias("t")))


def _different(shares: DataFrame, overall: DataFrame, quasi: Sequence[str]) -> DataFrame:
    """Half the sum of differences: of values that a class lacks the overall share counts whole."""
    told = shares.join(overall, on=_same(shares, overall), how="inner").drop(overall["value"])
    there = F.sum(F.abs(F.col("q") - F.col("p"))) + F.lit(1.0) - F.sum("p")
    return told.groupBy(*quasi).agg((F.greatest(there, F.lit(0.0)) / 2).alias("distance"))


def _moved(shares: DataFrame, overall: DataFrame, quasi: Sequence[str]) -> DataFrame:
    """The earth mover's distance over the ordered values, scaled by their number less one.

    Every class meets every value: that is why a number with very many values should be put into bands first.
    """
    classes = shares.select(*quasi).distinct()
    places = classes.crossJoin(overall)
    seen = shares.withColumnRenamed("value", "_value")
    on = [places[c].eqNullSafe(seen[c]) for c in quasi] + [places["value"].eqNullSafe(seen["_value"])]
    dense = places.join(seen.select(*quasi, "_value", "q"), on=on, how="left").select(
        *[places[c].alias(c) for c in quasi], "value", (F.coalesce("q", F.lit(0.0)) - F.col("p")).alias("d")
    )
    by = Window.partitionBy(*[F.col(q) for q in quasi]).orderBy(F.col("value").asc_nulls_first())
    moved = dense.withColumn("sum", F.abs(F.sum("d").over(by)))
    steps = F.greatest(F.count(F.lit(1)) - 1, F.lit(1))
    return moved.groupBy(*quasi).agg((F.sum("sum") / steps).alias("distance"))


def _same(left: DataFrame, right: DataFrame) -> Column:
    return left["value"].eqNullSafe(right["value"])


def too_small(
    told: DataFrame, quasi: Sequence[str], *, k: int, varied: int = 1, sensitive: Sequence[str] = ()
) -> DataFrame:
    """The classes (quasi, n) with fewer than k rows, or fewer than `varied` distinct values of a sensitive column."""
    told_values = [
        F.count_distinct(F.coalesce(F.col(c).cast("string"), F.lit("\0"))).alias(f"l_{c}") for c in sensitive
    ]
    classes = told.groupBy(*quasi).agg(F.sum(N).alias("n"), *told_values)
    small = F.col("n") < k
    for c in sensitive:
        small |= F.col(f"l_{c}") < varied
    return classes.where(small).select(*quasi, "n")
