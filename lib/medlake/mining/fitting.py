"""K-means of medlake.ml, PCA of MLlib. Fitting runs Spark jobs: this is the one place of the room that does.

Centres, loadings, figures of merit and a sample of bounded size reach the driver, never all rows. Points are kept
by local checkpoints, not by caches, which would drag their whole plan into every fit; a lost executor fails the
step, which is then tried again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from pyspark.ml.feature import PCA
from pyspark.ml.functions import array_to_vector, vector_to_array
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from medlake.mining.clusters import DECIMALS, Grouping, choose, numbered
from medlake.ml.blocks import Floats
from medlake.ml.choice import Tried, tried
from medlake.ml.nearest import with_nearest

ONE_PARTITION_ROWS = 200_000  # up to here one sorted partition: any cluster sums in the same order
MANY_PARTITIONS = 64
MAX_ITERATIONS = 25
N_RESAMPLES = 20  # bootstraps of the patients behind a group's Jaccard and the agreement


@dataclass(frozen=True)
class Groups:
    """The groupings tried, with the reasons, and the patients in the chosen one.

    assignment: person_id, cluster (1 is the largest), distance, x, y.
    """

    tried: Sequence[Grouping]
    verdicts: dict[int, tuple[bool, str]]
    assignment: DataFrame


def patient_groups(
    vectors: DataFrame, *, ks: Sequence[int], n_components: int, seed: int, n_persons: int,
    min_stability: float = 0.6, min_share: float = 0.05,
) -> Groups:  # fmt: skip
    """Group patients by K-means on their first principal components; k chosen as `clusters.choose` says.

    vectors: person_id, vector (standardised). Where all patients are alike, nothing is tried and nobody assigned.
    """
    points = _components(_settled(vectors, n_persons), n_components).localCheckpoint()
    found = tried(points, ks, features="point", seed=seed, n_resamples=N_RESAMPLES, max_iter=MAX_ITERATIONS)
    if not found:
        return Groups((), {}, _assignment(points.limit(0), np.zeros((1, 1))))
    groupings = [_grouping(one, n_persons) for one in found]
    verdicts = choose(groupings, min_stability=min_stability, min_share=min_share)
    best = next(one for one in found if verdicts[one.k][0])
    return Groups(groupings, verdicts, _assignment(points, best.centres))


def _grouping(one: Tried, n_persons: int) -> Grouping:
    return Grouping(
        k=one.k,
        silhouette=round(one.silhouette, DECIMALS),
        stability=round(one.halves, DECIMALS),
        inertia=round(one.inertia, DECIMALS - 3),
        n_smallest=min(one.sizes),
        n_persons=n_persons,
        jaccard=round(min(one.jaccard), DECIMALS),
        agreement=round(one.agreement, DECIMALS),
        davies_bouldin=round(one.davies_bouldin, DECIMALS),
        calinski_harabasz=round(one.calinski_harabasz, DECIMALS - 3),
    )


def _settled(vectors: DataFrame, n_persons: int) -> DataFrame:
    """The vectors in an order and partitions that depend on the patients only."""
    if n_persons <= ONE_PARTITION_ROWS:
        return vectors.repartition(1).sortWithinPartitions("person_id")
    return vectors.repartitionByRange(MANY_PARTITIONS, "person_id").sortWithinPartitions("person_id")


def _components(vectors: DataFrame, n_components: int) -> DataFrame:
    """person_id, point: the first principal components, largest loading positive."""
    rows = vectors.withColumn("all", array_to_vector(F.col("vector"))).localCheckpoint()
    width = rows.select(F.max(F.size("vector")).alias("n")).first()
    n = min(n_components, width["n"] if width else n_components)
    model = PCA(k=n, inputCol="all", outputCol="components").fit(rows)
    loadings = model.pc.toArray()
    signs = [float(np.sign(c[np.argmax(np.abs(np.round(c, DECIMALS)))]) or 1.0) for c in loadings.T]
    point = F.zip_with(
        vector_to_array(F.col("components")),
        F.array(*[F.lit(s) for s in signs]),
        lambda c, s: F.round(c * s, DECIMALS),
    )
    return model.transform(rows).select("person_id", point.alias("point"))


def _assignment(points: DataFrame, centres: Floats) -> DataFrame:
    at = F.array(*[F.array(*[F.lit(float(v)) for v in c]) for c in centres])
    distance = F.sqrt(_sum(F.zip_with("point", at[F.col("group")], lambda p, c: (p - c) * (p - c))))
    return numbered(with_nearest(points, "point", centres, np.arange(len(centres)), "group")).select(
        "person_id",
        F.col("cluster").cast("int").alias("cluster"),
        F.round(distance, DECIMALS - 3).alias("distance"),
        F.round(F.col("point")[0], DECIMALS - 3).alias("x"),
        F.round(F.coalesce(F.try_element_at("point", F.lit(2)), F.lit(0.0)), DECIMALS - 3).alias("y"),
    )


def _sum(values: Column) -> Column:
    return F.aggregate(values, F.lit(0.0), lambda total, v: total + v)
