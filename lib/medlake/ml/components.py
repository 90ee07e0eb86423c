"""Connected components of a graph that no one machine holds. Finding them runs Spark jobs, none on the driver.

Each partition first reduces its edges to stars (at most one edge per node). What is left is solved in one
executor task where it is small, else by rounds of large-star and small-star, label propagation with pointer
jumping, in O(log² n) rounds (Kiveris et al. 2014, "Connected components in MapReduce and beyond").
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from medlake.ml.blocks import Ints

IN_ONE_TASK = 1_000_000  # edges: 16 MB
MAX_ROUNDS = 100  # O(log² n): 10⁹ nodes need fewer
EDGE = "a bigint, b bigint"


def stars_of(a: Ints, b: Ints) -> tuple[Ints, Ints]:
    """(node, smallest node of its component) for every node but the smallest ones themselves."""
    if not len(a):
        return a, b
    nodes, place = np.unique(np.r_[a, b], return_inverse=True)
    links = coo_array((np.ones(len(a), dtype=np.int8), (place[: len(a)], place[len(a) :])), shape=(len(nodes),) * 2)
    n, label = connected_components(links, directed=False)
    smallest = np.full(n, np.iinfo(np.int64).max)
    np.minimum.at(smallest, label, nodes)
    root = smallest[label]
    return nodes[nodes != root], root[nodes != root]


def _as_stars(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    a, b = np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64)
    for batch in batches:
        fresh = (np.asarray(batch.column(i), dtype=np.int64) for i in (0, 1))
        a, b = (np.r_[old, new] for old, new in zip((a, b), fresh, strict=True))
        a, b = stars_of(a, b)
    yield pa.RecordBatch.from_arrays([pa.array(a), pa.array(b)], names=["a", "b"])


def components(edges: DataFrame, *, in_one_task: int = IN_ONE_TASK) -> DataFrame:
    """node, root: the smallest node of its component, for every node of `edges` (a, b bigint) that is not that root.

    Raises:
        RuntimeError: the rounds did not settle, which no graph makes them do.
    """
    stars = edges.mapInArrow(_as_stars, EDGE).localCheckpoint()
    is_small = stars.count() <= in_one_task
    settled = stars.coalesce(1).mapInArrow(_as_stars, EDGE) if is_small else _by_rounds(stars)
    return settled.select(F.col("a").alias("node"), F.col("b").alias("root"))


def _by_rounds(edges: DataFrame) -> DataFrame:
    before = None
    for _ in range(MAX_ROUNDS):
        edges = _small_star(_large_star(edges)).localCheckpoint()
        said = edges.agg(F.count(F.lit(1)), F.sum(F.xxhash64("a", "b").cast("decimal(38,0)"))).first()
        if said == before:
            return edges
        before = said
    raise RuntimeError(f"connected components did not settle in {MAX_ROUNDS} rounds")


def _large_star(edges: DataFrame) -> DataFrame:
    """Every larger neighbour of a node is tied to the smallest node around it."""
    both = edges.unionByName(edges.select(F.col("b").alias("a"), F.col("a").alias("b")))
    smallest = both.groupBy("a").agg(F.least("a", F.min("b")).alias("m"))
    return (
        both.join(smallest, on="a", how="inner")
        .where(F.col("b") > F.col("a"))
        .select(F.col("b").alias("a"), F.col("m").alias("b"))
        .distinct()
    )


def _small_star(edges: DataFrame) -> DataFrame:
    """Every node and its smaller neighbours are tied to the smallest of them."""
    smallest = edges.groupBy("a").agg(F.min("b").alias("m"))
    down = edges.join(smallest, on="a", how="inner").where(F.col("b") != F.col("m"))
    return (
        down.select(F.col("b").alias("a"), F.col("m").alias("b"))
        .unionByName(smallest.select("a", F.col("m").alias("b")))
        .distinct()
    )
