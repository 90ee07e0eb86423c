"""DBSCAN is scikit-learn's: the same core points, the same groups of them, the same noise, in any partitions."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from data_sets import DATA_SETS, DataSet
from pyspark.ml import Pipeline, PipelineModel
from pyspark.ml.feature import VectorAssembler
from pyspark.ml.linalg import Vectors
from pyspark.sql import DataFrame, SparkSession
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial.distance import cdist
from sklearn import cluster as one_machine

from medlake.ml import DBSCAN, DBSCANModel, k_distances, suggested_eps
from medlake.ml.components import components
from medlake.ml.k_distance import knee
from tables import assert_rows

NAMES = {"manhattan": "cityblock"}
MORE = ("swiss roll", "uniform noise", "chebyshev, 6-D", "blobs, 50-D", "manhattan, 15-D", "diabetes patients", "wine", "iris")


def _frame(spark: SparkSession, points: np.ndarray, n_partitions: int = 2) -> DataFrame:
    rows = [(i, [float(v) for v in p]) for i, p in enumerate(points)]
    return spark.createDataFrame(rows, "id bigint, features array<double>").repartition(n_partitions)


def _answers(transformed: DataFrame) -> tuple[np.ndarray, np.ndarray]:
    rows = sorted(transformed.select("id", "cluster", "isCore").collect())
    return np.array([r["cluster"] for r in rows]), np.array([r["isCore"] for r in rows])


def _assert_same_as_scikit_learn(data: DataSet, label: np.ndarray, is_core: np.ndarray) -> None:
    want = one_machine.DBSCAN(eps=data.eps, min_samples=data.min_samples, metric=data.metric).fit(data.points)
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


@pytest.mark.parametrize("name", [pytest.param(name, marks=[pytest.mark.long] if name in MORE else []) for name in DATA_SETS])
def test_core_groups_and_noise_are_those_of_scikit_learn(spark, name):
    data = DATA_SETS[name]()
    model = DBSCAN(eps=data.eps, minSamples=data.min_samples, metric=data.metric, maxCellPoints=60).fit(
        _frame(spark, data.points, 3)
    )
    _assert_same_as_scikit_learn(data, *_answers(model.transform(_frame(spark, data.points))))


@pytest.mark.long
@pytest.mark.parametrize("name", ["chains", "blobs, 20-D", "duplicates"])
def test_any_number_of_partitions_and_cells_gives_the_same_labels(spark, name):
    data, answers, n_cells = DATA_SETS[name](), [], []
    for n_partitions, most in ((1, 10**6), (2, 1000), (7, 200), (32, 40)):
        frame = _frame(spark, data.points, n_partitions)
        model = DBSCAN(eps=data.eps, minSamples=data.min_samples, metric=data.metric, maxCellPoints=most).fit(frame)
        answers.append(_answers(model.transform(frame)))
        n_cells.append(model._cells.n)
    assert len({a[0].tobytes() + a[1].tobytes() for a in answers}) == 1
    assert n_cells[0] == 1 and n_cells[-1] >= 4, "the cells were not cut: this shows nothing"
    _assert_same_as_scikit_learn(data, *answers[0])


def test_dense_cells_are_worked_out_without_listing_pairs(spark, monkeypatch):
    """The other way of a cell, exact too; here it is taken everywhere."""
    data = DATA_SETS["one dense blob"]()
    model = _without_pairs(monkeypatch, data).fit(_frame(spark, data.points))
    _assert_same_as_scikit_learn(data, *_answers(model.transform(_frame(spark, data.points))))


def _without_pairs(monkeypatch: pytest.MonkeyPatch, data: DataSet) -> DBSCAN:
    estimator = DBSCAN(eps=data.eps, minSamples=data.min_samples, metric=data.metric, maxCellPoints=300)
    rule = estimator._rule
    monkeypatch.setattr(estimator, "_rule", lambda width: replace(rule(width), pairs_at_once=0))
    return estimator


@pytest.mark.parametrize("in_one_task", [0, 10**6])
def test_connected_components_of_chains_rings_and_stars(spark, in_one_task):
    draw = np.random.default_rng(7)
    chain = [(i, i + 1) for i in range(100)]
    pairs = [*chain, *((200 + int(a), 200 + int(b)) for a, b in draw.integers(0, 60, (45, 2)) if a != b), (900, 800)]
    edges = spark.createDataFrame([pairs[i] for i in draw.permutation(len(pairs))], "a bigint, b bigint").repartition(3)
    root = {r["node"]: r["root"] for r in components(edges, in_one_task=in_one_task).collect()}
    graph = coo_array((np.ones(len(pairs)), tuple(np.array(pairs).T)), shape=(901, 901))
    label = connected_components(graph, directed=False)[1]
    nodes = sorted({n for pair in pairs for n in pair})
    assert root == {n: first for n in nodes if (first := min(m for m in nodes if label[m] == label[n])) != n}


def test_a_saved_model_in_a_pipeline_labels_as_before_and_new_rows_too(spark, tmp_path):
    rows = [(0.0, 0.0), (0.1, 0.0), (0.0, 0.1), (9.0, 9.0), (9.1, 9.0), (9.0, 9.1), (9.1, 9.1), (5.0, 5.0)]
    frame = spark.createDataFrame(rows, "x double, y double")
    stages = [VectorAssembler(inputCols=["x", "y"], outputCol="features"), DBSCAN(eps=0.2, minSamples=3)]
    fitted = Pipeline(stages=stages).fit(frame)
    fitted.write().overwrite().save(str(tmp_path / "model"))
    loaded = PipelineModel.load(str(tmp_path / "model"))
    new = spark.createDataFrame([*rows, (9.25, 9.0), (0.0, 0.2), (None, 1.0)], "x double, y double")
    new = VectorAssembler(inputCols=["x", "y"], outputCol="features", handleInvalid="keep").transform(new)
    answers = loaded.stages[1].transform(new)
    assert answers.columns == ["x", "y", "features", "cluster", "isCore"]
    assert_rows(answers, """
        x    | y   | cluster | isCore
        0.0  | 0.0 | 1       | true
        0.1  | 0.0 | 1       | true
        0.0  | 0.1 | 1       | true
        9.0  | 9.0 | 0       | true
        9.1  | 9.0 | 0       | true
        9.0  | 9.1 | 0       | true
        9.1  | 9.1 | 0       | true
        5.0  | 5.0 | -1      | false
        9.25 | 9.0 | 0       | false
        0.0  | 0.2 | 1       | false
        null | 1.0 | null    | null
    """)  # fmt: skip
    assert isinstance(loaded.stages[1], DBSCANModel)
    assert_rows(loaded.stages[1].clusters, """
        cluster | n_core
        0       | 4
        1       | 3
    """)  # fmt: skip
    assert loaded.stages[1].corePoints.count() == 7


@pytest.mark.parametrize(
    ("params", "told"),
    [
        ({"eps": 0.0}, "eps is 0.0"),
        ({"eps": float("nan")}, "eps is nan"),
        ({"minSamples": 0.5}, "minSamples is 0.5"),
        ({"metric": "taste"}, "metric is 'taste'; it can be euclidean"),
    ],
)
def test_params_that_make_no_sense_are_refused(spark, params, told):
    with pytest.raises(ValueError, match=told):
        DBSCAN(**params).fit(_frame(spark, np.zeros((2, 2))))


def test_rows_that_cannot_be_placed_are_refused_at_fit_by_their_number(spark):
    rows = [(0, [1.0, 2.0]), (1, None), (2, [1.0, float("nan")]), (3, [1.0]), (4, [1.0, None])]
    frame = spark.createDataFrame(rows, "id bigint, features array<double>").coalesce(1)
    with pytest.raises(ValueError, match="4 of 5 rows have features that are null"):
        DBSCAN().fit(frame)
    with pytest.raises(ValueError, match="there are no rows to fit"):
        DBSCAN().fit(frame.where("id > 9"))


def test_vectors_and_sparse_vectors_are_points_too(spark):
    rows = [(0, Vectors.dense(0.0, 0.0)), (1, Vectors.sparse(2, {1: 0.1})), (2, Vectors.dense(5.0, 5.0))]
    frame = spark.createDataFrame(rows, ["id", "features"])
    label, is_core = _answers(DBSCAN(eps=0.2, minSamples=2).fit(frame).transform(frame))
    assert label.tolist() == [0, 0, -1] and is_core.tolist() == [True, True, False]


def test_distances_to_the_kth_neighbour_and_their_knee(spark):
    data = DATA_SETS["moons"]()
    found = k_distances(_frame(spark, data.points, 3), k=6, n_asked=200, seed=2)
    want = np.sort(np.partition(cdist(data.points, data.points), 5, axis=1)[:, 5])
    assert len(found) == 200 and (np.diff(found) >= 0).all()
    assert np.isin(found.round(12), want.round(12)).all()
    eps = suggested_eps(_frame(spark, data.points), min_samples=6)
    assert want[len(want) // 2] < eps < want[-1]
    assert knee([1.0, 1.1, 1.2, 1.3, 9.0]) == 1.3
    assert knee([1.0, 5.0, 5.0]) == 5.0
