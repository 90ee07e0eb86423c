"""K-means of MLlib. Fitting runs Spark jobs: this is the one place of the room that does.

Only centres, loadings and figures of merit reach the driver, never rows. Points are kept by local
checkpoints, not by caches, which would drag their whole plan into every fit; a lost executor fails the step,
which is then tried again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from pyspark.ml.clustering import KMeans, KMeansModel
from pyspark.ml.evaluation import ClusteringEvaluator
from pyspark.ml.feature import PCA
from pyspark.ml.functions import array_to_vector, vector_to_array
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from medlake.mining.clusters import DECIMALS, Grouping, adjusted_rand, choose, in_half, numbered

ONE_PARTITION_ROWS = 200_000  # up to here one sorted partition: any cluster sums in the same order
MANY_PARTITIONS = 64
MAX_ITERATIONS = 25
INIT_STEPS = 2  # passes of k-means||


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

    vectors: person_id, vector (standardised).
    """
    points = _components(_settled(vectors, n_persons), n_components).localCheckpoint()
    tried, models = [], {}
    for k in [k for k in ks if k < n_persons]:
        models[k] = _k_means(k, seed).fit(points)
        tried.append(_merit(points, models[k], k, seed, n_persons))
    verdicts = choose(tried, min_stability=min_stability, min_share=min_share)
    best = next(k for k, (is_chosen, _) in verdicts.items() if is_chosen)
    return Groups(tried, verdicts, _assignment(points, models[best]))


def _settled(vectors: DataFrame, n_persons: int) -> DataFrame:
    """The vectors in an order and partitions that depend on the patients only."""
    if n_persons <= ONE_PARTITION_ROWS:
        return vectors.repartition(1).sortWithinPartitions("person_id")
    return vectors.repartitionByRange(MANY_PARTITIONS, "person_id").sortWithinPartitions("person_id")


def _components(vectors: DataFrame, n_components: int) -> DataFrame:
    """person_id, point (and `v`, as a vector): the first principal components, largest loading positive."""
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
    return model.transform(rows).select("person_id", point.alias("point"), array_to_vector(point).alias("v"))


def _k_means(k: int, seed: int) -> KMeans:
    return KMeans(
        k=k,
        featuresCol="v",
        predictionCol="group",
        seed=seed,
        maxIter=MAX_ITERATIONS,
        initSteps=INIT_STEPS,
    )


def _merit(points: DataFrame, model: KMeansModel, k: int, seed: int, n_persons: int) -> Grouping:
    """Figures of merit of one k; stability from two models, each learned on one half of the patients."""
    grouped = model.transform(points)
    silhouette = ClusteringEvaluator(featuresCol="v", predictionCol="group").evaluate(grouped)
    halves = [_k_means(k, seed).fit(points.where(in_half(F.col("person_id"), seed) == h)) for h in (0, 1)]
    a, b = (h.setPredictionCol(name) for h, name in zip(halves, "ab", strict=True))
    agreement = adjusted_rand(b.transform(a.transform(points))).first()
    sizes = model.summary.clusterSizes
    return Grouping(
        k=k,
        silhouette=round(float(silhouette), DECIMALS),
        stability=round(float(agreement["adjusted_rand"]), DECIMALS) if agreement else 0.0,
        inertia=round(float(model.summary.trainingCost), DECIMALS - 3),
        n_smallest=min(sizes),
        n_persons=n_persons,
    )


def _assignment(points: DataFrame, model: KMeansModel) -> DataFrame:
    centres = F.array(*[F.array(*[F.lit(float(v)) for v in c]) for c in model.clusterCenters()])
    distance = F.sqrt(_sum(F.zip_with("point", centres[F.col("group")], lambda p, c: (p - c) * (p - c))))
    return numbered(model.transform(points)).select(
        "person_id",
        F.col("cluster").cast("int").alias("cluster"),
        F.round(distance, DECIMALS - 3).alias("distance"),
        F.round(F.col("point")[0], DECIMALS - 3).alias("x"),
        F.round(F.coalesce(F.try_element_at("point", F.lit(2)), F.lit(0.0)), DECIMALS - 3).alias("y"),
    )


def _sum(values: Column) -> Column:
    return F.aggregate(values, F.lit(0.0), lambda total, v: total + v)
