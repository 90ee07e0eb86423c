"""Temporal rules: which of two things comes first, how long after, and is it more than chance. All lazy.

The order of two first events is the crude sequence ratio of Hallas 1996 ("Evidence of depression provoked by
cardiovascular medication: a prescription sequence symmetry analysis", Epidemiology 7): people are their own
controls. A trend in how often things are recorded over the years moves the ratio; the test knows nothing of it.
"""

from __future__ import annotations

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from medlake.ml.occurrences import Limits
from medlake.ml.significance import p_of, sign_test, with_q


def first_dates(events: DataFrame) -> DataFrame:
    """person, item, day: the first day of each item of each person."""
    return events.groupBy("person", "item").agg(F.min("day").alias("day"))


def pairs(first: DataFrame, *, least: int, n_persons: int, limits: Limits) -> DataFrame:
    """antecedent, consequent, freq, nAntecedent, support, confidence, nReverse, nSameDay, ratio, medianDays, p, q.

    first: person, item, day (one row per person and item). freq: people whose first antecedent came before
    their first consequent, within the limits (the gap is also the window here); at least `least`.
    confidence: freq over the people with the antecedent. nReverse: those the other way round, within the same
    limits. nSameDay: those with both on one day, which say nothing of the order. ratio: freq / nReverse,
    null where nobody went the other way. p: were both orders as likely (two-sided binomial test)? q: over all
    pairs that enough people went through in either order, whichever was the more frequent.

    Time and memory: one join of each person's frequent items with themselves.
    """
    longest = min([one for one in (limits.max_gap, limits.window) if one] or [0])
    gap = F.abs(F.col("day_b") - F.col("day_a"))
    counts = (gap >= limits.min_gap) & ((gap <= longest) if longest else F.lit(True))
    a, b = (
        first.select("person", F.col("item").alias(f"item_{side}"), F.col("day").alias(f"day_{side}"))
        for side in "ab"
    )
    met = a.join(b, on="person", how="inner").where(F.col("item_a") < F.col("item_b"))
    is_forth = counts & (F.col("day_a") < F.col("day_b"))
    is_back = counts & (F.col("day_a") > F.col("day_b"))
    tested = (
        met.groupBy("item_a", "item_b")
        .agg(
            F.count_if(is_forth).alias("n_forth"),
            F.count_if(is_back).alias("n_back"),
            F.count_if(F.col("day_a") == F.col("day_b")).alias("nSameDay"),
            F.percentile(F.when(is_forth, gap), 0.5).alias("days_forth"),
            F.percentile(F.when(is_back, gap), 0.5).alias("days_back"),
        )
        .where(F.col("n_forth") + F.col("n_back") >= least)
        .withColumn("p", p_of(sign_test, "n_forth", "n_back"))
    )
    judged = with_q(tested, "p", "q")
    with_n = first.groupBy(F.col("item").alias("antecedent")).agg(F.count(F.lit(1)).alias("nAntecedent"))
    both_ways = _directed(judged, "ab").unionByName(_directed(judged, "ba"))
    return (
        both_ways.where(F.col("freq") >= least)
        .join(with_n, on="antecedent", how="inner")
        .select(
            "antecedent", "consequent", "freq", "nAntecedent",
            (F.col("freq") / F.lit(max(n_persons, 1))).alias("support"),
            (F.col("freq") / F.col("nAntecedent")).alias("confidence"),
            "nReverse", "nSameDay",
            F.when(F.col("nReverse") > 0, F.col("freq") / F.col("nReverse")).alias("ratio"),
            "medianDays", "p", "q",
        )
    )  # fmt: skip


def _directed(judged: DataFrame, way: str) -> DataFrame:
    """The pairs read as item_a → item_b (`ab`) or the other way (`ba`)."""
    forth, back = ("forth", "back") if way == "ab" else ("back", "forth")
    return judged.select(
        F.col(f"item_{way[0]}").alias("antecedent"),
        F.col(f"item_{way[1]}").alias("consequent"),
        F.col(f"n_{forth}").alias("freq"),
        F.col(f"n_{back}").alias("nReverse"),
        "nSameDay",
        F.col(f"days_{forth}").alias("medianDays"),
        "p",
        "q",
    )
