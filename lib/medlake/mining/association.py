"""What `medlake.ml` finds in baskets and events, as tables of the gold layer. All lazy."""

from __future__ import annotations

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from medlake.ml.network import edges

DECIMALS = 9  # the last bits of a quotient may differ between processors
SHARES = ("support", "confidence", "lift", "leverage", "conviction", "zhang")


def association_rule(rules: DataFrame) -> DataFrame:
    """gold.association_rule, from `AssociationRules.rules`."""
    return rules.select(
        "antecedent",
        "consequent",
        F.col("freq").alias("n"),
        *[F.round(name, DECIMALS).alias(name) for name in SHARES],
        F.col("p").alias("p_value"),
        _significant("q").alias("q_value"),
    )


def association_stratum(strata: DataFrame) -> DataFrame:
    """gold.association_stratum, from `ml.strata.by_stratum`; strata without the antecedent say nothing."""
    return strata.where(F.col("n_antecedent") > 0).select(
        "antecedent", "consequent", "stratum", "level", F.col("n_baskets").alias("n_persons"),
        F.col("freq").alias("n"), "n_antecedent",
        *[F.round(name, DECIMALS).alias(name) for name in ("confidence", "lift", "difference")],
        F.col("p").alias("p_value"), _significant("q").alias("q_value"),
    )  # fmt: skip


def comorbidity_edge(itemsets: DataFrame, n_persons: int) -> DataFrame:
    """gold.comorbidity_edge: two conditions of the same people, from itemsets of one and two of them."""
    return edges(itemsets, n_persons).select(
        "item_a", "item_b", "n_a", "n_b", "n_both", F.col("n_baskets").alias("n_persons"),
        F.round("odds_ratio", DECIMALS).alias("odds_ratio"), F.round("phi", DECIMALS).alias("phi"),
        F.col("p").alias("p_value"), _significant("q").alias("q_value"),
    )  # fmt: skip


def sequence_pattern(patterns: DataFrame, pairs: DataFrame) -> DataFrame:
    """gold.sequence_pattern, from a model of `SequencePatterns(firstOnly=True)`.

    A pattern of two single items is a temporal rule: it gets the test of its direction.
    """
    step = F.array("antecedent"), F.array("consequent")
    tested = pairs.select(
        F.array(*step).alias("sequence"),
        F.col("nAntecedent").alias("n_antecedent"),
        F.col("nReverse").alias("n_reverse"),
        F.col("nSameDay").alias("n_same_day"),
        F.round("ratio", DECIMALS).alias("sequence_ratio"),
        F.col("p").alias("p_value"),
        _significant("q").alias("q_value"),
    )
    return patterns.join(tested, on="sequence", how="left").select(
        F.col("sequence").alias("pattern"),
        F.size("sequence").alias("n_steps"),
        F.col("freq").alias("n"),
        F.round("support", DECIMALS).alias("support"),
        F.col("medianDays").alias("median_days"),
        "n_antecedent", "n_reverse", "n_same_day", "sequence_ratio", "p_value", "q_value",
    )  # fmt: skip


def _significant(column: str) -> Column:
    """Nine significant digits, however small the number."""
    return F.format_string("%.8e", column).cast("double")
