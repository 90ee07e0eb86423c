"""What is missing, where, together with what, and in whom: tables for a report. Lazy."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce

import pandas as pd
from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F
from pyspark.sql.pandas.functions import pandas_udf
from scipy.special import chdtrc

from medlake.prepare.columns import known, named


def missing_by_column(rows: DataFrame, columns: Sequence[str]) -> DataFrame:
    """column, n_rows, n_missing, share. Grain: column. One pass; no rows: the share is null."""
    counts = [F.count_if(known(rows, c).isNull()).alias(f"n_{i}") for i, c in enumerate(columns)]
    pairs = [F.struct(F.lit(c).alias("column"), F.col(f"n_{i}").alias("n_missing")) for i, c in enumerate(columns)]
    told = rows.agg(F.count(F.lit(1)).alias("n_rows"), *counts)
    return told.select("n_rows", F.inline(F.array(*pairs))).select(
        "column", "n_rows", "n_missing", F.try_divide("n_missing", "n_rows").alias("share")
    )


def missing_patterns(rows: DataFrame, columns: Sequence[str]) -> DataFrame:
    """missing (the names of columns that are missing together, in the order of `columns`), n_rows, share.

    Grain: pattern. `[]` is the pattern of complete rows.
    """
    names = [F.when(known(rows, c).isNull(), F.lit(c)) for c in columns]
    counted = rows.groupBy(F.array_compact(F.array(*names)).alias("missing")).agg(F.count(F.lit(1)).alias("n_rows"))
    return counted.withColumn("share", F.col("n_rows") / F.sum("n_rows").over(Window.partitionBy()))


def _tail(chi2: pd.Series, df: pd.Series) -> pd.Series:
    return pd.Series(chdtrc(df.to_numpy(dtype=float), chi2.to_numpy(dtype=float)))


def _p(chi2: Column, df: Column) -> Column:
    p: Column = pandas_udf(_tail, "double")(F.coalesce(chi2, F.lit(0.0)), F.coalesce(df, F.lit(1)))  # type: ignore[call-overload]
    return F.when(chi2.isNotNull(), p)


def missing_by_group(rows: DataFrame, columns: Sequence[str], by: str) -> DataFrame:
    """column, level, n_rows, n_missing, share, chi2, df, p. Grain: column and level of `by` (null: not known).

    chi2, df, p: Pearson's test of missing or not against the levels, without correction, the same for all levels of a
    column; null where a column is never or always missing, or there is one level.
    """
    counts = [F.count_if(known(rows, c).isNull()).alias(f"n_{i}") for i, c in enumerate(columns)]
    grouped = rows.groupBy(named(by).cast("string").alias("level")).agg(F.count(F.lit(1)).alias("n_rows"), *counts)
    sides = [
        grouped.select(F.lit(c).alias("column"), "level", "n_rows", F.col(f"n_{i}").alias("n_missing"))
        for i, c in enumerate(columns)
    ]
    told = reduce(DataFrame.unionByName, sides)
    of_column = Window.partitionBy("column")
    share = F.sum("n_missing").over(of_column) / F.sum("n_rows").over(of_column)
    tested = told.withColumns({"_share": share, "df": F.count(F.lit(1)).over(of_column) - 1})
    # Both cells of a level: (observed - expected)² / expected of the missing and of the others.
    part = F.pow(F.col("n_missing") - F.col("n_rows") * F.col("_share"), 2) / F.col("n_rows")
    chi2 = F.sum(part).over(of_column) / (F.col("_share") * (1 - F.col("_share")))
    sound = F.col("_share").between(1e-300, 1 - 1e-15) & (F.col("df") > 0)
    return (
        tested.withColumn("chi2", F.when(sound, chi2))
        .withColumns({"df": F.when(sound, F.col("df")), "share": F.col("n_missing") / F.col("n_rows")})
        .withColumn("p", _p(F.col("chi2"), F.col("df")))
        .select("column", "level", "n_rows", "n_missing", "share", "chi2", "df", "p")
    )
