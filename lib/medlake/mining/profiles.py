"""What sets a group of patients apart: features and codes, effect sizes and adjusted p values. All lazy."""

from __future__ import annotations

import numpy as np
import pandas as pd
from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F
from pyspark.sql.pandas.functions import pandas_udf
from scipy.stats import hypergeom
from scipy.stats import t as student

from medlake.mining.clusters import DECIMALS

SAME = 0.05  # standard deviations below which a group's mean is called the same as the others'
NO_SPREAD = 1e-9  # a spread that is only the rounding of sums is none


def profile(matrix: DataFrame, assignment: DataFrame, feature_def: DataFrame) -> DataFrame:
    """gold.cluster_profile: each feature of each group beside the patients of all other groups.

    effect_size: difference of the two means over their pooled standard deviation (Austin 2009: 0.1 is small).
    p_value: Welch's test of the two means (1947); q_value: adjusted over all groups and features (Benjamini and
    Hochberg 1995). The groups were made from these features, so a small p tells what they are made of, not that
    they are real: that is what the figures of stability are for.
    """
    long = (
        matrix.select("person_id", F.posexplode("features").alias("position", "value"))
        .join(assignment.select("person_id", "cluster"), on="person_id", how="inner")
        .join(F.broadcast(feature_def.select("position", "feature")), on="position", how="inner")
    )
    sums = (F.count("value").alias("n"), F.sum("value").alias("s"), F.sum(F.col("value") ** 2).alias("q"))
    inside = long.groupBy("cluster", "feature").agg(F.count(F.lit(1)).alias("n_persons"), *sums)
    overall = long.groupBy("feature").agg(
        *[s.alias(f"all_{name}") for s, name in zip(sums, "nsq", strict=True)]
    )
    others = {name: F.col(f"all_{name}") - F.col(name) for name in "nsq"}
    within, outside = _variance(F.col("n"), F.col("s"), F.col("q")), _variance(**others)
    known = (F.col("n") > 1) & (others["n"] > 1) & (F.sqrt((within + outside) / 2) > NO_SPREAD)
    apart = F.col("s") / F.col("n") - others["s"] / others["n"]
    told = inside.join(overall, on="feature", how="inner").withColumns(
        {
            "mean": F.round(F.col("s") / F.nullif("n", F.lit(0)), DECIMALS),
            "overall_mean": F.round(F.col("all_s") / F.nullif("all_n", F.lit(0)), DECIMALS),
            "effect_size": F.round(F.when(known, apart / F.sqrt((within + outside) / 2)), DECIMALS),
            "p_value": _as_p(
                F.when(known, _welch(apart, within / F.col("n"), outside / others["n"], F.col("n"), others["n"]))
            ),
        }
    )
    return _adjusted(told).select(
        "cluster", "n_persons", "feature", "mean", "overall_mean", "effect_size",
        _direction(F.col("effect_size")).alias("direction"), "p_value", "q_value",
    )  # fmt: skip


def codes(basket: DataFrame, assignment: DataFrame, *, min_persons: int, min_lift: float, max_q: float) -> DataFrame:
    """gold.cluster_code: conditions and drugs over-represented in a group.

    Kept: at least `min_persons` of the group have it, at a share at least `min_lift` times that of all patients, with
    q at most `max_q` (Fisher's exact test, one-sided, adjusted over all groups and codes that are frequent enough).
    """
    grouped = basket.select("person_id", "items").join(
        assignment.select("person_id", "cluster"), on="person_id", how="inner"
    )
    n_all = grouped.agg(F.count(F.lit(1)).alias("n_all"))
    of_group = grouped.groupBy("cluster").agg(F.count(F.lit(1)).alias("n_group"))
    pairs = grouped.select("cluster", F.explode("items").alias("item"))
    of_item = pairs.groupBy("item").agg(F.count(F.lit(1)).alias("n_item"))
    share, expected = F.col("n_persons") / F.col("n_group"), F.col("n_item") / F.col("n_all")
    counted = (
        pairs.groupBy("cluster", "item")
        .agg(F.count(F.lit(1)).alias("n_persons"))
        .where(F.col("n_persons") >= min_persons)
        .join(of_item, on="item", how="inner")
        .join(F.broadcast(of_group), on="cluster", how="inner")
        .crossJoin(F.broadcast(n_all))
        .withColumns(
            {
                "share": F.round(share, DECIMALS),
                "overall_share": F.round(expected, DECIMALS),
                "lift": F.round(share / expected, DECIMALS),
                "p_value": _fisher("n_persons", "n_group", "n_item", "n_all"),
            }
        )
    )
    return (
        _adjusted(counted)
        .where((F.col("lift") >= min_lift) & (F.col("q_value") <= max_q))
        .select("cluster", "item", "n_persons", "share", "overall_share", "lift", "p_value", "q_value")
    )


def _variance(n: Column, s: Column, q: Column) -> Column:
    return F.greatest((q - s * s / n) / (n - 1), F.lit(0.0))


def _direction(effect: Column) -> Column:
    return F.when(effect > SAME, "higher").when(effect < -SAME, "lower").otherwise("same")


def _welch(apart: Column, a: Column, b: Column, n_a: Column, n_b: Column) -> Column:
    """Welch's t and its degrees of freedom; a, b: variance of each mean."""
    freedom = (a + b) ** 2 / (a * a / (n_a - 1) + b * b / (n_b - 1))
    return F.struct((apart / F.sqrt(a + b)).alias("t"), freedom.alias("freedom"))


def _as_p(welch: Column) -> Column:
    tail: Column = pandas_udf(two_sided, "double")(welch["t"], welch["freedom"])  # type: ignore[call-overload]
    return tail


def _fisher(*columns: str) -> Column:
    tail: Column = pandas_udf(over_represented, "double")(*[F.col(c) for c in columns])  # type: ignore[call-overload]
    return tail


def over_represented(n: pd.Series, n_group: pd.Series, n_item: pd.Series, n_all: pd.Series) -> pd.Series:
    """One-sided p of Fisher's exact test: at least n of the group have the item, by chance."""
    drawn = (s.to_numpy(dtype=np.int64) for s in (n_all, n_group, n_item))
    return pd.Series(hypergeom.sf(n.to_numpy(dtype=np.int64) - 1, *drawn))


def two_sided(t: pd.Series, freedom: pd.Series) -> pd.Series:
    """Two-sided p of Student's t; null where t is."""
    return pd.Series(2 * student.sf(np.abs(t.to_numpy(dtype=float)), freedom.to_numpy(dtype=float)))


def _adjusted(told: DataFrame) -> DataFrame:
    """Adds q_value over the rows that have a p_value."""
    has_p = Window.partitionBy(F.col("p_value").isNull())
    up_to = has_p.orderBy("p_value").rangeBetween(Window.unboundedPreceding, 0)
    onwards = has_p.orderBy("p_value").rangeBetween(0, Window.unboundedFollowing)
    m, rank = F.count(F.lit(1)).over(has_p), F.count(F.lit(1)).over(up_to)
    return (
        told.withColumn("p_value", F.nullif("p_value", F.lit(float("nan"))))
        .withColumn("scaled", F.col("p_value") * m / rank)
        .withColumn("q_value", F.least(F.min("scaled").over(onwards), F.lit(1.0)))
        .withColumn("q_value", F.when(F.col("p_value").isNotNull(), F.round("q_value", 15)))
        .withColumn("p_value", F.round("p_value", 15))
        .drop("scaled")
    )
