"""Do two sources tell the same of the same people? Rows of one silver table, paired and compared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

AGREE, UNEXPLAINED = "agree", "unexplained"


def paired(left: DataFrame, right: DataFrame, *, key: Sequence[str], compare: Sequence[str]) -> DataFrame:
    """One row per pair: the key columns, `place`, and `l` and `r` (structs of `compare`; null where a side has no row).

    Rows that share a key are paired in the order of what is compared: a row told twice has the places 1 and 2.
    """
    sides = []
    for name, rows in (("l", left), ("r", right)):
        place = F.row_number().over(Window.partitionBy(*key).orderBy(*compare))
        sides.append(rows.select(*key, F.struct(*compare).alias(name), place.alias("place")))
    # as text: a null in the key must meet its like
    told = [side.withColumns({k: F.coalesce(F.col(k).cast("string"), F.lit("")) for k in key}) for side in sides]
    return told[0].join(told[1], on=[*key, "place"], how="full_outer")


def agreement(pairs: DataFrame, *, reasons: Mapping[str, str]) -> DataFrame:
    """(reason, n_rows, n_persons): how many pairs agree, and why the others do not.

    `reasons`: name → SQL condition on `l`, `r` and the key columns, tried in order; a pair that differs for none of
    them is `unexplained`. `pairs` need `person_id` among their key columns.
    """
    why = F.when(F.col("l").eqNullSafe(F.col("r")), F.lit(AGREE))
    for name, condition in reasons.items():
        why = why.when(F.expr(condition), F.lit(name))
    return (
        pairs.withColumn("reason", why.otherwise(F.lit(UNEXPLAINED)))
        .groupBy("reason")
        .agg(F.count("*").alias("n_rows"), F.count_distinct("person_id").alias("n_persons"))
    )
