"""Matrices as DataFrames and back, a column per number, NaN as null."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession


def names(points: Any) -> list[str]:
    return [f"x{i}" for i in range(np.shape(points)[1])]


def frame(spark: SparkSession, points: Any, **more: Any) -> DataFrame:
    """Columns id, x0, x1 … and what `more` names."""
    points = np.asarray(points, dtype=float)
    columns = {"id": pa.array(np.arange(len(points)))}
    columns |= {n: pa.array(points[:, i], mask=np.isnan(points[:, i])) for i, n in enumerate(names(points))}
    columns |= {n: pa.array(v) for n, v in more.items()}
    return spark.createDataFrame(pa.table(columns))


def matrix(rows: DataFrame, *columns: str) -> Any:
    """The columns in the order of id, NaN where null."""
    table = rows.select("id", *columns).toArrow().sort_by("id")
    return np.column_stack([table[c].to_numpy(zero_copy_only=False).astype(float) for c in columns])


def holed(points: Any, share: float, seed: int) -> Any:
    """The points with that share of the values missing, none of the first rows."""
    points = np.array(points, dtype=float)
    gone = np.random.default_rng(seed).random(points.shape) < share
    gone[:5] = False
    points[gone] = np.nan
    return points
