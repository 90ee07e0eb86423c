"""Little's test: are values missing completely at random? It runs Spark jobs: sums per pattern of missing values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from scipy.special import chdtrc

from medlake.ml.blocks import Floats, batch_of, to_bytes
from medlake.prepare.columns import matrix, number, vector
from medlake.prepare.em import PatternSums, little, maximum_likelihood

MAX_PATTERNS = 1_000
SUMS = "pattern string, n double, total binary, products binary"


@dataclass(frozen=True)
class Mcar:
    """statistic: d², chi²-distributed with `df` where values are missing completely at random; p: its upper tail.

    mean, covariance: of all columns, by maximum likelihood. n_patterns counts the pattern of complete rows.
    """

    statistic: float
    df: int
    p: float
    n_patterns: int
    n_rows: int
    mean: Floats
    covariance: Floats


def _as_batch(held: Mapping[str, Sequence[Any]]) -> pa.RecordBatch:
    """Rows of SUMS; those without any value are left out."""
    rows = [
        (name, n, to_bytes(total), to_bytes(products)) for name, (n, total, products) in held.items() if "1" in name
    ]
    return batch_of(SUMS, rows)


def mcar(rows: DataFrame, columns: Sequence[str], *, max_patterns: int = MAX_PATTERNS) -> Mcar:
    """Little's test (1988) of numbers, the covariance divided by n as in R's naniar; rows without a value are left out.

    A small p says that who misses a value differs in the others; a large one proves nothing. The driver sees sums per
    pattern, at most `max_patterns` · columns² numbers; EM costs patterns · columns³ an iteration.

    Raises:
        ValueError: no column misses a value, one has none, there are more patterns, or EM does not come to rest.

    >>> mcar(patients, ["hb", "crp", "age"]).p  # doctest: +SKIP
    """
    width = len(columns)
    asked = [f for c in map(number, columns) for f in (F.avg(c), F.count_if(c.isNull()))]
    told = list(rows.agg(*asked).first() or [])
    empty = [c for c, mean in zip(columns, told[::2], strict=True) if mean is None]
    if empty:
        raise ValueError(f"mcar: {', '.join(empty)} have no value at all")
    if not any(told[1::2]):
        raise ValueError("mcar: nothing is missing")
    centre = np.array(told[::2], dtype=np.float64)

    def count(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        held: dict[str, list[Any]] = {}
        for batch in batches:
            points = matrix(batch.column(0), width)
            has = np.isfinite(points)
            z = np.where(has, points - centre, 0.0)
            kinds, kind = np.unique(has, axis=0, return_inverse=True)
            for i, one in enumerate(kinds):
                of_kind = z[kind.ravel() == i]
                name = "".join("1" if h else "0" for h in one)
                told = [float(len(of_kind)), of_kind.sum(axis=0), of_kind.T @ of_kind]
                before = held.get(name)
                held[name] = told if before is None else [a + b for a, b in zip(before, told, strict=True)]
            if len(held) > max_patterns:
                yield _as_batch(held)
                held = {}
        yield _as_batch(held)

    def unite(table: pa.Table) -> pa.Table:
        name = table["pattern"][0].as_py()
        total, products = (
            np.sum([np.frombuffer(b, dtype=np.float64) for b in table[c].to_pylist()], axis=0)
            for c in ("total", "products")
        )
        n = float(np.sum(table["n"].to_numpy()))
        return pa.Table.from_batches([batch_of(SUMS, [(name, n, to_bytes(total), to_bytes(products))])])

    sums = rows.select(vector(columns)).mapInArrow(count, SUMS).groupBy("pattern").applyInArrow(unite, SUMS)
    found = sums.limit(max_patterns + 1).toArrow().to_pylist()
    if len(found) > max_patterns:
        raise ValueError(f"mcar: more than {max_patterns} patterns of missing values; take fewer columns")
    patterns = [
        PatternSums(
            np.array([c == "1" for c in r["pattern"]]), r["n"], np.frombuffer(r["total"], dtype=np.float64),
            np.frombuffer(r["products"], dtype=np.float64).reshape(width, width),
        )
        for r in sorted(found, key=lambda r: str(r["pattern"]))
    ]  # fmt: skip
    mean, covariance, _ = maximum_likelihood(patterns)
    statistic, df = little(patterns, mean, covariance)
    n_rows = round(sum(p.n for p in patterns))
    return Mcar(statistic, df, float(chdtrc(df, statistic)), len(patterns), n_rows, mean + centre, covariance)
