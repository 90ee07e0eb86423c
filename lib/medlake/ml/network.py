"""The comorbidity network: which two things stand together more often than chance has it, as a table. All lazy."""

from __future__ import annotations

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from medlake.ml.rules import n_rules
from medlake.ml.significance import fisher_tail, p_of, with_q


def edges(itemsets: DataFrame, n_baskets: int) -> DataFrame:
    """item_a < item_b, n_a, n_b, n_both, n_baskets, odds_ratio, phi, p, q: one row per frequent pair.

    itemsets: items, freq; those of one and two items are read. odds_ratio: of the 2 × 2 table; 0.5 is added to
    each cell where one is empty (Haldane 1956, Anscombe 1956). phi: Pearson's correlation of the two, −1 to 1;
    null where one stands in every basket. p: Fisher's exact, one-sided (more often together). q: Benjamini and
    Hochberg over every pair of frequent items, those that were too rare together among them.
    """
    single = itemsets.where(F.size("items") == 1)
    n_items = single.agg(F.count(F.lit(1)).cast("int").alias("n_items"))
    pairs = itemsets.where(F.size("items") == 2).select(
        F.col("items")[0].alias("item_a"), F.col("items")[1].alias("item_b"), F.col("freq").alias("n_both")
    )
    for side in "ab":
        of_side = single.select(F.col("items")[0].alias(f"item_{side}"), F.col("freq").alias(f"n_{side}"))
        pairs = pairs.join(of_side, on=f"item_{side}", how="inner")
    a, b, both = F.col("n_a"), F.col("n_b"), F.col("n_both")
    counted = pairs.crossJoin(F.broadcast(n_items)).withColumn("n_baskets", F.lit(n_baskets).cast("bigint"))
    total = F.col("n_baskets")
    cells = (both, a - both, b - both, total - a - b + both)
    extra = F.when(F.least(*cells) == 0, 0.5).otherwise(0.0)
    yes, only_a, only_b, none = (cell + extra for cell in cells)
    spread = F.sqrt(a.cast("double") * b * (total - a) * (total - b))
    tested = counted.withColumns(
        {
            "odds_ratio": yes * none / (only_a * only_b),
            "phi": F.when(spread > 0, (total.cast("double") * both - a.cast("double") * b) / spread),
            "p": p_of(fisher_tail, "n_both", "n_a", "n_b", "n_baskets"),
            "n_pairs": n_rules(F.col("n_items"), F.lit(2), 1) / 2,
        }
    )
    return with_q(tested, "p", "q", n_tests=F.col("n_pairs")).select(
        "item_a", "item_b", "n_a", "n_b", "n_both", "n_baskets", "odds_ratio", "phi", "p", "q"
    )
