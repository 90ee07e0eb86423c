"""Patient groups: vectors, choice of k, numbers that stay from night to night, and who moved. All lazy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

DECIMALS = 9  # sums over partitions differ in the last bits from run to run; what is kept does not


def standardised(matrix: DataFrame) -> DataFrame:
    """person_id, vector array<double>: each feature with mean 0 and spread 1 over the patients.

    matrix: one row per patient. A missing value becomes the mean; a feature without spread is 0.
    """
    spread = (
        matrix.select(F.posexplode("features").alias("position", "value"))
        .groupBy("position")
        .agg(
            F.round(F.avg("value"), DECIMALS).alias("mean"),
            F.round(F.stddev_samp("value"), DECIMALS).alias("sd"),
        )
        .agg(F.array_sort(F.collect_list(F.struct("position", "mean", "sd"))).alias("scale"))
    )

    def score(value: Column, scale: Column) -> Column:
        return F.when(
            scale["sd"] > 0, F.coalesce((value - scale["mean"]) / scale["sd"], F.lit(0.0))
        ).otherwise(0.0)

    return matrix.crossJoin(F.broadcast(spread)).select(
        "person_id", F.zip_with("features", "scale", score).alias("vector")
    )


@dataclass(frozen=True)
class Grouping:
    """What is known of one number of groups after it was tried."""

    k: int
    silhouette: float
    stability: float
    inertia: float
    n_smallest: int
    n_persons: int
    jaccard: float = 0.0  # of the least stable group
    agreement: float = 0.0  # with the groups of bootstrap resamples
    davies_bouldin: float = 0.0
    calinski_harabasz: float = 0.0


def choose(
    tried: Sequence[Grouping], *, min_stability: float, min_share: float
) -> dict[int, tuple[bool, str]]:
    """k → (is it chosen, why in words).

    The clearest grouping (highest silhouette; ties: fewest groups) among those that come out alike from two
    halves of the patients and whose smallest group is not a handful; where none is, the most stable one.
    """

    def sound(g: Grouping) -> bool:
        return g.stability >= min_stability and g.n_smallest >= min_share * g.n_persons

    candidates = [g for g in tried if sound(g)]
    best = (
        max(candidates, key=lambda g: (g.silhouette, -g.k))
        if candidates
        else max(tried, key=lambda g: (g.stability, g.silhouette, -g.k))
    )
    return {g.k: (g is best, _reason(g, best, bool(candidates), min_stability, min_share)) for g in tried}


def _reason(g: Grouping, best: Grouping, any_sound: bool, min_stability: float, min_share: float) -> str:
    figures = f"silhouette {g.silhouette:.2f}, agreement of two halves {g.stability:.2f}"
    if g is best and any_sound:
        return f"chosen: the clearest of the stable groupings ({figures})"
    if g is best:
        return f"chosen: the most stable, though none reaches an agreement of {min_stability:g} ({figures})"
    if g.stability < min_stability:
        return f"not stable: two halves of the patients give other groups ({figures})"
    if g.n_smallest < min_share * g.n_persons:
        return f"its smallest group has less than {min_share:.0%} of the patients ({figures})"
    return f"less clear than {best.k} groups ({figures})"


def numbered(assigned: DataFrame) -> DataFrame:
    """Adds `cluster`: groups of `group` numbered by size, 1 the largest; ties by the smallest person_id."""
    by_size = Window.orderBy(F.desc("n"), "first_person")
    order = (
        assigned.groupBy("group")
        .agg(F.count(F.lit(1)).alias("n"), F.min("person_id").alias("first_person"))
        .withColumn("cluster", F.row_number().over(by_size))
        .select("group", "cluster")
    )
    return assigned.join(F.broadcast(order), on="group", how="inner")


def named_as_before(assigned: DataFrame, before: DataFrame) -> DataFrame:
    """`assigned` with the group numbers of `before` (person_id, cluster) where a group is still there.

    A group keeps its number if each is the other's best match by patients in common (ties: the lower number).
    Other groups get the numbers after the largest of before, by size. A number is free again once its group is gone.
    """
    both = assigned.select("person_id", "cluster").join(
        before.select("person_id", F.col("cluster").alias("old")), on="person_id", how="inner"
    )
    common = both.groupBy("cluster", "old").agg(F.count(F.lit(1)).alias("n"))
    best_old = Window.partitionBy("cluster").orderBy(F.desc("n"), "old")
    best_new = Window.partitionBy("old").orderBy(F.desc("n"), "cluster")
    kept = (
        common.withColumns({"a": F.row_number().over(best_old), "b": F.row_number().over(best_new)})
        .where((F.col("a") == 1) & (F.col("b") == 1))
        .select("cluster", "old")
    )
    last = before.agg(F.coalesce(F.max("cluster"), F.lit(0)).alias("last"))
    fresh = Window.partitionBy(F.col("old").isNull()).orderBy(F.desc("n"), "cluster")
    names = (
        assigned.groupBy("cluster")
        .agg(F.count(F.lit(1)).alias("n"))
        .join(kept, on="cluster", how="left")
        .crossJoin(F.broadcast(last))
        .select("cluster", F.coalesce("old", F.col("last") + F.row_number().over(fresh)).cast("int").alias("name"))
    )
    return (
        assigned.join(F.broadcast(names), on="cluster", how="inner")
        .withColumn("cluster", F.col("name"))
        .select(*assigned.columns)
    )


def moved(assigned: DataFrame, before: DataFrame) -> DataFrame:
    """gold.cluster_change: how many patients went from which group to which; 0: in no group, before or now."""
    old = before.select("person_id", F.col("cluster").alias("cluster_before"))
    pairs = assigned.select("person_id", "cluster").join(old, on="person_id", how="full")
    return (
        pairs.fillna(0, ["cluster", "cluster_before"])
        .groupBy("cluster_before", "cluster")
        .agg(F.count(F.lit(1)).alias("n_persons"))
        .where(F.col("cluster_before") != F.col("cluster"))
    )
