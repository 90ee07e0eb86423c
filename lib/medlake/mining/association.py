"""Association rules: who has these items tends to have that one. All lazy.

Itemsets come from FP-growth on baskets whose size is capped; they are counted again on the whole baskets, so
the cap can hide an itemset but never changes a figure.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F
from pyspark.sql.pandas.functions import pandas_udf
from scipy.stats import hypergeom  # type: ignore[import-untyped]

DECIMALS = 9


def capped(basket: DataFrame, *, min_support: float, max_items: int) -> DataFrame:
    """Baskets (person_id, items) with frequent items only, at most `max_items`: those with most information.

    The information of an item is -log2 of its share of the patients: the rarest are kept; ties by name.
    A patient without a frequent item keeps an empty basket: the number of patients stays.
    """
    n_persons = basket.agg(F.count(F.lit(1)).alias("n_persons"))
    frequent = (
        basket.select(F.explode("items").alias("item"))
        .groupBy("item")
        .agg(F.count(F.lit(1)).alias("freq"))
        .crossJoin(F.broadcast(n_persons))
        .where(F.col("freq") >= F.lit(min_support) * F.col("n_persons"))
        .select("item", "freq")
    )
    rarest = Window.partitionBy("person_id").orderBy("freq", "item")
    kept = (
        basket.select("person_id", F.explode("items").alias("item"))
        .join(F.broadcast(frequent), on="item", how="inner")
        .withColumn("rank", F.row_number().over(rarest))
        .where(F.col("rank") <= max_items)
        .groupBy("person_id")
        .agg(F.array_sort(F.collect_set("item")).alias("items"))
    )
    return (
        basket.select("person_id")
        .join(kept, on="person_id", how="left")
        .withColumn("items", F.coalesce("items", F.array().cast("array<string>")))
    )


def counted(itemsets: DataFrame, basket: DataFrame, *, min_support: float, max_items: int) -> DataFrame:
    """items (sorted, at most `max_items`), n (patients whose whole basket has them all), n_persons."""
    n_persons = basket.agg(F.count(F.lit(1)).alias("n_persons"))
    wanted = itemsets.where(F.size("items") <= max_items).select(F.array_sort("items").alias("wanted"))
    has_all = F.size(F.array_except("wanted", "items")) == 0
    return (
        basket.join(F.broadcast(wanted), on=has_all, how="inner")
        .groupBy(F.col("wanted").alias("items"))
        .agg(F.count(F.lit(1)).alias("n"))
        .crossJoin(F.broadcast(n_persons))
        .where(F.col("n") >= F.lit(min_support) * F.col("n_persons"))
    )


def rules(
    counts: DataFrame, *, min_confidence: float, min_lift: float = 1.1, max_q: float = 0.05,
    min_improvement: float = 0.02,
) -> DataFrame:  # fmt: skip
    """gold.association_rule: rules with one consequent, from itemsets as `counted` gives them.

    Kept: confidence and lift as asked for, q value at most `max_q` over all rules with that confidence and
    lift, and not redundant: no rule with a part of the antecedent and the same consequent comes within
    `min_improvement` of the confidence.
    """
    candidates = with_measures(split(counts)).where(
        (F.col("confidence") >= min_confidence) & (F.col("lift") >= min_lift)
    )
    tested = with_q_value(
        candidates.withColumn("p_value", fisher_p("n", "n_antecedent", "n_consequent", "n_persons"))
    )
    return without_redundant(tested.where(F.col("q_value") <= max_q), min_improvement=min_improvement).select(
        "antecedent",
        "consequent",
        "n",
        "support",
        "confidence",
        "lift",
        "leverage",
        "conviction",
        "p_value",
        "q_value",
    )


def split(counts: DataFrame) -> DataFrame:
    """Every way to take one item of an itemset as the consequent, with the counts of both sides."""
    sides = counts.where(F.size("items") > 1).select(
        F.explode("items").alias("taken"), "items", "n", "n_persons"
    )
    antecedent = F.array_remove("items", F.col("taken"))
    known = counts.select(F.col("items").alias("side"), F.col("n").alias("n_side"))
    return (
        sides.select(antecedent.alias("antecedent"), F.array("taken").alias("consequent"), "n", "n_persons")
        .join(
            known.select(F.col("side").alias("antecedent"), F.col("n_side").alias("n_antecedent")),
            on="antecedent",
            how="inner",
        )
        .join(
            known.select(F.col("side").alias("consequent"), F.col("n_side").alias("n_consequent")),
            on="consequent",
            how="inner",
        )
    )


def with_measures(sides: DataFrame) -> DataFrame:
    """Adds support, confidence, lift, leverage and conviction (null: infinite, the rule has no exception)."""
    n, total = F.col("n"), F.col("n_persons")
    confidence, share = n / F.col("n_antecedent"), F.col("n_consequent") / total
    conviction = F.when(n < F.col("n_antecedent"), (1 - share) / (1 - confidence))
    return sides.withColumns(
        {
            "support": F.round(n / total, DECIMALS),
            "confidence": F.round(confidence, DECIMALS),
            "lift": F.round(confidence / share, DECIMALS),
            "leverage": F.round(n / total - F.col("n_antecedent") / total * share, DECIMALS),
            "conviction": F.round(conviction, DECIMALS),
        }
    )


def fisher_tail(
    n: pd.Series, n_antecedent: pd.Series, n_consequent: pd.Series, n_persons: pd.Series
) -> pd.Series:
    """P(at least `n` of `n_antecedent` patients have the consequent) were the two unrelated."""
    tail = hypergeom.sf(
        n.to_numpy() - 1, n_persons.to_numpy(), n_consequent.to_numpy(), n_antecedent.to_numpy()
    )
    clipped = np.clip(tail, np.finfo(float).tiny, 1.0)
    # Nine digits: the last bits may differ between processors.
    return pd.Series([float(f"{p:.9g}") for p in clipped])


def fisher_p(*columns: str) -> Column:
    """Fisher's exact test, one-sided, of columns n, n_antecedent, n_consequent, n_persons."""
    tail: Column = pandas_udf(fisher_tail, "double")(  # type: ignore[call-overload]
        *[F.col(c) for c in columns]
    )
    return tail


def with_q_value(tested: DataFrame) -> DataFrame:
    """Adds q_value: Benjamini and Hochberg 1995 over all rows."""
    everything = Window.orderBy("p_value").rangeBetween(Window.unboundedPreceding, Window.unboundedFollowing)
    up_to = Window.orderBy("p_value").rangeBetween(Window.unboundedPreceding, 0)
    onwards = Window.orderBy("p_value").rangeBetween(0, Window.unboundedFollowing)
    m, rank = F.count(F.lit(1)).over(everything), F.count(F.lit(1)).over(up_to)
    return (
        tested.withColumn("scaled", F.col("p_value") * m / rank)
        .withColumn("q_value", F.least(F.min("scaled").over(onwards), F.lit(1.0)))
        .drop("scaled")
    )


def without_redundant(found: DataFrame, *, min_improvement: float) -> DataFrame:
    """Rules that say more than every rule with a part of their antecedent and the same consequent."""
    shorter = found.select(
        F.col("antecedent").alias("part"), "consequent", F.col("confidence").alias("part_confidence")
    )
    is_part = (F.size("part") < F.size("antecedent")) & (F.size(F.array_except("part", "antecedent")) == 0)
    redundant = (
        found.join(shorter, on="consequent", how="inner")
        .where(is_part & (F.col("confidence") < F.col("part_confidence") + min_improvement))
        .select("antecedent", "consequent")
        .distinct()
    )
    return found.join(redundant, on=["antecedent", "consequent"], how="left_anti")
