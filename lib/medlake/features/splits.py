"""Folds by patient, so that nobody is on both sides of a split."""

from __future__ import annotations

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F


def subject_split(label: DataFrame, *, n_folds: int, seed: int) -> DataFrame:
    """gold.subject_split: one fold per task and patient, 0 to `n_folds` - 1.

    Patients of each outcome (any positive label counts) are dealt out in the order of a seeded hash of their
    id, so folds hold equal shares of the outcome and do not depend on row order or partitions.
    """
    drawn = F.sha2(F.to_json(F.struct(F.lit(seed).alias("seed"), "task", "person_id")), 256)
    by_outcome = Window.partitionBy("task", "outcome").orderBy("draw", "person_id")
    # Negatives are dealt from the last fold backwards, so that the remainders do not pile up in fold 0.
    dealt = F.pmod(F.row_number().over(by_outcome) - 1, F.lit(n_folds)).cast("int")
    return (
        label.groupBy("task", "person_id")
        .agg(F.bool_or("boolean_value").alias("outcome"))
        .withColumn("draw", drawn)
        .withColumn("fold", F.when(F.col("outcome"), dealt).otherwise(F.lit(n_folds - 1) - dealt))
        .select("task", "person_id", "fold")
    )
