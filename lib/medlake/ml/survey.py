"""One pass over the data before a fit: how many, how wide, and a seeded sample. It runs Spark jobs.

The sample is the bottom of a seeded hash over distinct points (Broder 1997): the same points whatever the order,
the number of partitions or the number of copies. It is bounded by `size`, and the only data that the driver sees.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from medlake.ml.blocks import (
    BUFFER_POINTS,
    Floats,
    as_array,
    batch_of,
    collapsed,
    from_bytes,
    hashed,
    matrix_of,
    to_bytes,
)

FOUND = (
    "rank bigint, point binary, weight double,"
    " n bigint, n_unsound bigint, width bigint, widest bigint, largest double"
)
SMALLEST = np.iinfo(np.int64).min


@dataclass(frozen=True)
class Survey:
    """What one pass says about the data. sample: distinct points in the order of their hash, with their copies.

    n_distinct: exact where the sample holds every distinct point, else estimated from its largest hash.
    """

    n: int
    n_unsound: int
    width: int
    largest: float
    n_distinct: float
    sample: Floats
    weight: Floats


def surveyed(dataset: DataFrame, features: str, *, size: int, seed: int) -> Survey:
    """Counts and a sample of at most `size` distinct points.

    Raises:
        ValueError: there are no rows, or a vector is null, not finite or of another length than the others.
    """

    def look(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        yield from _seen(batches, size, seed)

    found = dataset.select(as_array(dataset, features)).mapInArrow(look, FOUND).localCheckpoint()
    said = found.agg(*[F.sum(c) for c in ("n", "n_unsound")], F.min("width"), F.max("widest"), F.max("largest")).first()
    if said is None or not (said[0] or said[1]):  # nulls where not even a partition was looked at
        raise ValueError("there are no rows to fit")
    n, n_unsound, width, widest, largest = said
    if n_unsound or width != widest:
        raise ValueError(
            f"{n_unsound or 'some'} of {n + n_unsound} rows have features that are null, not finite, empty or of"
            " another length than the others; impute or leave them out first"
        )
    bottom = (
        found.where(F.col("point").isNotNull())
        .groupBy("rank", "point")
        .agg(F.sum("weight").alias("weight"))
        .orderBy("rank", "point")
        .limit(size)
        .toArrow()
    )
    return _survey(bottom, size, int(n), int(width), float(largest))


def _survey(bottom: pa.Table, size: int, n: int, width: int, largest: float) -> Survey:
    sample = from_bytes(bottom["point"].to_pylist(), width)
    n_distinct = float(len(sample))
    if len(sample) == size:  # k-minimum values: the k-th smallest of m uniform hashes lies at k / m
        share = (float(bottom["rank"][size - 1].as_py()) - float(SMALLEST)) / 2.0**64
        n_distinct = min(float(n), (size - 1) / max(share, 1e-18))
    weight = np.asarray(bottom["weight"], dtype=np.float64)
    return Survey(n, 0, width, largest, n_distinct, sample, weight)


def _seen(batches: Iterator[pa.RecordBatch], size: int, seed: int) -> Iterator[pa.RecordBatch]:
    """The lowest `size` distinct points of one partition, and a row of counts."""
    n = n_unsound = 0
    widths: set[int] = set()
    largest, ceiling = 0.0, 2**64 - 1
    held: tuple[Floats, Floats] | None = None
    fresh: list[Floats] = []

    def merged() -> tuple[Floats, Floats]:
        points = np.concatenate([*([held[0]] if held else []), *fresh])
        weight = np.concatenate([*([held[1]] if held else []), np.ones(sum(map(len, fresh)))])
        points, weight = collapsed(points, weight)
        lowest = np.argsort(hashed(points, seed), kind="stable")[:size]
        return points[lowest], weight[lowest]

    for batch in batches:
        points, sound = matrix_of(batch.column(0))
        n, n_unsound = n + len(points), n_unsound + int((~sound).sum())
        if not len(points):
            continue
        widths.add(points.shape[1])
        if len(widths) > 1:
            continue
        largest = max(largest, float(np.abs(points).max()))
        fresh.append(points[hashed(points, seed) <= ceiling])
        if sum(map(len, fresh)) > max(size, BUFFER_POINTS // 10):
            held, fresh = merged(), []
            if len(held[0]) == size:
                ceiling = int(hashed(held[0][-1:], seed)[0])
    counts = (n, n_unsound, min(widths, default=None), max(widths, default=None), largest)
    yield batch_of(FOUND, [(None, None, None, *counts)])
    if len(widths) == 1:
        points, weight = merged()
        # The order of an unsigned hash, kept in Spark's signed bigint.
        ranks = (hashed(points, seed) ^ np.uint64(2**63)).view(np.int64)
        rows = [(int(r), to_bytes(p), float(w), *(None,) * 5) for r, p, w in zip(ranks, points, weight, strict=True)]
        yield batch_of(FOUND, rows)
