"""The same rules among women and men, young and old, with the difference. Counting runs Spark jobs."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from medlake.ml import counting
from medlake.ml.rules import RULE
from medlake.ml.significance import fisher_both, p_of, with_q

MARK = "\x01"  # starts the item that stands for a stratum: no code of a patient does


def by_stratum(
    rules: DataFrame, baskets: DataFrame, *, columns: Sequence[str], items: str = "items",
    max_candidates: int = 2_000_000,
) -> DataFrame:  # fmt: skip
    """Each rule in each stratum, beside all others whose stratum is known. Exact; lazy but for the counting.

    rules: antecedent, consequent. baskets: `items` array<string> and the strata as columns, e.g. sex and age
    band; null: not known, and counted in no stratum of that column.
    antecedent, consequent, stratum (the column), level, n_baskets, freq, n_antecedent, support, confidence (null:
    no antecedent), lift, difference (confidence here less confidence in the others; null: no antecedent in one
    of them), p (Fisher's, two-sided: twice the smaller tail), q (over all rules and strata).
    Grain: rule and level. Raises ConfigError beyond `max_candidates` itemsets: rules · 3 · levels.
    """
    kept = counting.baskets_of(baskets, items).schema["items"].dataType
    marks = [_mark(name) for name in columns]
    marked = baskets.select(
        F.concat(F.coalesce(F.col(items), F.array().cast(kept)), F.array_compact(F.array(*marks))).alias("items")
    )
    levels = reduce(
        DataFrame.unionByName,
        [
            baskets.where(F.col(name).isNotNull()).select(
                F.lit(name).alias("stratum"), F.col(name).cast("string").alias("level"), _mark(name).alias("mark")
            )
            for name in columns
        ],
    ).distinct()
    asked = rules.select(*RULE).distinct().crossJoin(F.broadcast(levels)).localCheckpoint()
    sides = {"n_baskets": F.array(), "n_antecedent": F.col("antecedent"), "n_consequent": F.col("consequent"),
             "freq": F.concat(*RULE)}  # fmt: skip
    keyed = asked.withColumns(
        {name: F.array_sort(F.concat(side.cast("array<string>"), F.array("mark"))) for name, side in sides.items()}
    )
    wanted = reduce(DataFrame.unionByName, [keyed.select(F.col(name).alias("items")) for name in sides])
    with counting.packed(marked) as ready:
        counts = counting.counts_of(ready, wanted, max_candidates=max_candidates)
    for name in sides:
        of_side = counts.select(F.col("items").alias(name), F.col("freq").alias(f"_{name}"))
        keyed = keyed.join(of_side, on=name, how="left").drop(name)
    told = keyed.select(
        *RULE, "stratum", "level", *[F.coalesce(f"_{name}", F.lit(0)).alias(name) for name in sides]
    )
    return _compared(told)


def _mark(name: str) -> Column:
    return F.concat(F.lit(f"{MARK}{name}="), F.col(name).cast("string"))


def _compared(told: DataFrame) -> DataFrame:
    """Adds measures, the difference to the other levels, p and q."""
    column = Window.partitionBy(*RULE, "stratum")
    both, one = F.sum("freq").over(column), F.sum("n_antecedent").over(column)
    summed = told.withColumns({"_both": both, "_one": one})
    n, n_if, n_then, total = (F.col(c) for c in ("freq", "n_antecedent", "n_consequent", "n_baskets"))
    confidence = F.when(n_if > 0, n / n_if)
    elsewhere = F.when(F.col("_one") > n_if, (F.col("_both") - n) / (F.col("_one") - n_if))
    tested = summed.withColumns(
        {
            "support": n / total,
            "confidence": confidence,
            "lift": F.when(n_then > 0, confidence / (n_then / total)),
            "difference": confidence - elsewhere,
            "p": p_of(fisher_both, "freq", "n_antecedent", "_both", "_one"),
        }
    )
    return with_q(tested, "p", "q").select(
        *RULE, "stratum", "level", "n_baskets", "freq", "n_antecedent", "support", "confidence", "lift",
        "difference", "p", "q",
    )  # fmt: skip
