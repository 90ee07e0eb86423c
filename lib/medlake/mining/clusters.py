"""Patient groups: vectors, agreement of groupings, choice of k, and what sets a group apart. All lazy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

DECIMALS = 9  # sums over partitions differ in the last bits from run to run; what is kept does not
SAME = 0.05  # standard deviations below which a group's mean is called the same as the others'


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


def in_half(person: Column, seed: int) -> Column:
    """0 or 1: the half of the patients that a patient belongs to, by a seeded hash."""
    return F.pmod(F.xxhash64(F.lit(seed), person), F.lit(2)).cast("int")


def adjusted_rand(pairs: DataFrame) -> DataFrame:
    """One row `adjusted_rand`: how far two groupings `a`, `b` of the same patients agree beyond chance.

    1: the same groups; about 0: chance. Hubert and Arabie 1985. Two groupings with one group each agree: 1.
    """
    cells = pairs.groupBy("a", "b").agg(F.count(F.lit(1)).cast("double").alias("n"))

    def choose_two(n: Column) -> Column:
        return n * (n - 1) / 2

    def within(column: str) -> DataFrame:
        return (
            cells.groupBy(column)
            .agg(F.sum("n").alias("m"))
            .agg(F.sum(choose_two(F.col("m"))).alias(f"pairs_{column}"))
        )

    together = cells.agg(F.sum(choose_two(F.col("n"))).alias("together"), F.sum("n").alias("n"))
    expected = F.col("pairs_a") * F.col("pairs_b") / choose_two(F.col("n"))
    most = (F.col("pairs_a") + F.col("pairs_b")) / 2
    return (
        together.crossJoin(within("a"))
        .crossJoin(within("b"))
        .select(
            F.when(most == expected, 1.0)
            .otherwise((F.col("together") - expected) / (most - expected))
            .alias("adjusted_rand")
        )
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


def profile(matrix: DataFrame, assignment: DataFrame, feature_def: DataFrame) -> DataFrame:
    """gold.cluster_profile: each feature of each group beside the patients of all other groups.

    effect_size: difference of the two means over their pooled standard deviation (Austin 2009: 0.1 is small).
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
    spread = F.sqrt((_variance(F.col("n"), F.col("s"), F.col("q")) + _variance(**others)) / 2)
    # A spread that is only the rounding of sums is none.
    effect = F.when(spread > 1e-9, (F.col("s") / F.col("n") - others["s"] / others["n"]) / spread)
    return (
        inside.join(overall, on="feature", how="inner")
        .withColumns(
            {
                "mean": F.round(F.col("s") / F.nullif("n", F.lit(0)), DECIMALS),
                "overall_mean": F.round(F.col("all_s") / F.nullif("all_n", F.lit(0)), DECIMALS),
                "effect_size": F.round(F.when((F.col("n") > 1) & (others["n"] > 1), effect), DECIMALS),
            }
        )
        .withColumn("direction", _direction(F.col("effect_size")))
        .select("cluster", "n_persons", "feature", "mean", "overall_mean", "effect_size", "direction")
    )


def _variance(n: Column, s: Column, q: Column) -> Column:
    return F.greatest((q - s * s / n) / (n - 1), F.lit(0.0))


def _direction(effect: Column) -> Column:
    return F.when(effect > SAME, "higher").when(effect < -SAME, "lower").otherwise("same")
