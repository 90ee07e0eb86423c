"""DBSCAN is scikit-learn's: the same core points, the same groups of them, the same noise, in any partitions."""

from __future__ import annotations

import numpy as np
import pytest
from data_sets import DATA_SETS, DataSet
from pyspark.ml import Pipeline, PipelineModel
from pyspark.ml.feature import VectorAssembler
from pyspark.ml.linalg import Vectors
from pyspark.sql import DataFrame, SparkSession
from scipy.spatial.distance import cdist
from sklearn.cluster import DBSCAN as OneMachine  # noqa: N811
from sklearn.metrics import adjusted_rand_score

from medlake.ml import DBSCAN, DBSCANModel
from medlake.ml.components import components

NAMES = {"manhattan": "cityblock"}


def _frame(spark: SparkSession, points: np.ndarray, n_partitions: int = 2) -> DataFrame:
    rows = [(i, [float(v) for v in p]) for i, p in enumerate(points)]
    return spark.createDataFrame(rows, "id bigint, features array<double>").repartition(n_partitions)


def _answers(transformed: DataFrame) -> tuple[np.ndarray, np.ndarray]:
    rows = sorted(transformed.select("id", "cluster", "isCore").collect())
    return np.array([r["cluster"] for r in rows]), np.array([r["isCore"] for r in rows])


def _assert_same_as_scikit_learn(data: DataSet, label: np.ndarray, is_core: np.ndarray) -> None:
    want = OneMachine(eps=data.eps, min_samples=data.min_samples, metric=data.metric).fit(data.points)
    core = np.zeros(len(data.points), dtype=bool)
    core[want.core_sample_indices_] = True
    assert (is_core == core).all(), f"{(is_core != core).sum()} of {len(core)} are core in one only"
    assert ((label == -1) == (want.labels_ == -1)).all()
    pairs = set(zip(label[core].tolist(), want.labels_[core].tolist(), strict=True))
    assert len(pairs) == len({a for a, _ in pairs}) == len({b for _, b in pairs}), "groups are split or merged"
    border = (label >= 0) & ~core
    if border.any():
        distance = cdist(data.points[border], data.points[core], NAMES.get(data.metric, data.metric))
        nearest = distance.min(axis=1, keepdims=True)
        allowed = np.abs(distance - nearest) <= 1e-12
        lowest = np.where(allowed, label[core][None, :], np.iinfo(int).max).min(axis=1)
        assert (label[border] == lowest).all(), "a border point is not with its nearest core point"


@pytest.mark.parametrize("name", DATA_SETS)
def test_core_groups_and_noise_are_those_of_scikit_learn(spark, name):
    data = DATA_SETS[name]()
    model = DBSCAN(eps=data.eps, minSamples=data.min_samples, metric=data.metric, maxCellPoints=60).fit(
        _frame(spark, data.points, 3)
    )
    _assert_same_as_scikit_learn(data, *_answers(model.transform(_frame(spark, data.points))))


@pytest.mark.parametrize("name", ["chains", "blobs, 20-D", "duplicates"])
def test_any_number_of_partitions_and_cells_gives_the_same_labels(spark, name):
    data, answers = DATA_SETS[name](), []
    for n_partitions, most in ((1, 10**6), (2, 1000), (7, 200), (32, 40)):
        frame = _frame(spark, data.points, n_partitions)
        model = DBSCAN(eps=data.eps, minSamples=data.min_samples, metric=data.metric, maxCellPoints=most).fit(frame)
        answers.append(_answers(model.transform(frame)))
    assert len({a[0].tobytes() + a[1].tobytes() for a in answers}) == 1
    _assert_same_as_scikit_learn(data, *answers[0])
