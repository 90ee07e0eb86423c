"""Small tables of the comorbidity network and of frequent sequences, for the page. All lazy."""

from __future__ import annotations

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from medlake.report.tables import FINDINGS, named

MAX_Q = 0.05
MAX_LINKS, MAX_FOLLOWS = 18, 12
MOST_OF_ONE = 4  # links of one diagnosis, so that one does not fill the picture


def link_counts(comorbidity_edge: DataFrame, item_name: DataFrame) -> DataFrame:
    """The people behind each link, as those of a rule: antecedent, consequent, n_if, n_both, n_then, n_all.

    Only pairs that stand together more often than by chance; findings such as employment are left out.
    """
    sides = [F.array(f"item_{side}").alias(name) for side, name in (("a", "antecedent"), ("b", "consequent"))]
    counts = comorbidity_edge.where((F.col("odds_ratio") > 1) & (F.col("q_value") <= MAX_Q)).select(
        *sides, F.col("n_a").alias("n_if"), "n_both", F.col("n_b").alias("n_then"), F.col("n_persons").alias("n_all")
    )
    return _without_findings(counts, item_name)


def strongest_links(safe: DataFrame, item_name: DataFrame) -> DataFrame:
    """The links of highest lift, named: first, second, n_both, lift, is_bound, position. safe: publishable counts."""
    lift = (F.col("n_both") / F.col("n_if")) / (F.col("n_then") / F.col("n_all"))
    strongest: list[Column | str] = [F.desc("lift"), F.desc("n_both"), "antecedent", "consequent"]
    of_first = Window.partitionBy("antecedent").orderBy(*strongest)
    of_second = Window.partitionBy("consequent").orderBy(*strongest)
    order = Window.partitionBy(F.lit(0)).orderBy(*strongest)
    kept = (
        safe.withColumn("lift", F.round(lift, 1))
        .where(F.col("lift") > 1)
        .withColumns({"nth_a": F.row_number().over(of_first), "nth_b": F.row_number().over(of_second)})
        .where(F.greatest("nth_a", "nth_b") <= MOST_OF_ONE)
        .withColumn("position", F.row_number().over(order))
        .where(F.col("position") <= MAX_LINKS)
        .select("antecedent", "consequent", "n_both", "lift", "is_bound", "position")
    )
    return _one_name(named(kept, item_name), "first", "second")


def follow_counts(sequence_pattern: DataFrame, item_name: DataFrame) -> DataFrame:
    """antecedent, consequent, n, n_reverse, median_days of temporal rules whose direction is no chance finding."""
    tested = sequence_pattern.where((F.col("q_value") <= MAX_Q) & (F.col("n") > F.col("n_reverse")))
    counts = tested.select(
        F.col("pattern")[0].alias("antecedent"),
        F.col("pattern")[1].alias("consequent"),
        "n",
        "n_reverse",
        F.round("median_days").cast("int").alias("median_days"),
    )
    return _without_findings(counts, item_name)


def frequent_follows(safe: DataFrame, item_name: DataFrame) -> DataFrame:
    """The sequences of most people, named: first, then, n, n_reverse, median_days, position."""
    order = Window.partitionBy(F.lit(0)).orderBy(F.desc("n"), "antecedent", "consequent")
    kept = safe.withColumn("position", F.row_number().over(order)).where(F.col("position") <= MAX_FOLLOWS)
    columns = ("antecedent", "consequent", "n", "n_reverse", "median_days", "position")
    return _one_name(named(kept.select(*columns), item_name), "first", "then")


def _without_findings(counts: DataFrame, item_name: DataFrame) -> DataFrame:
    findings = item_name.where(F.col("name").rlike(FINDINGS)).agg(F.collect_set("item").alias("findings"))
    either = F.concat("antecedent", "consequent")
    return (
        counts.crossJoin(F.broadcast(findings)).where(~F.arrays_overlap(either, "findings")).drop("findings")
    )


def _one_name(sides: DataFrame, first: str, second: str) -> DataFrame:
    names = {first: F.col("if_names")[0], second: F.col("then_names")[0]}
    return sides.withColumns(names).drop("if_names", "then_names")
