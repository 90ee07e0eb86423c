"""K-means and BIRCH beside scikit-learn's on the same points; the figures of choice beside scikit-learn's too."""

from __future__ import annotations

import numpy as np
import pytest
from pyspark.sql import DataFrame, SparkSession
from sklearn.cluster import Birch as OneBirch
from sklearn.cluster import KMeans as OneMachine
from sklearn.datasets import load_breast_cancer, make_blobs
from sklearn.metrics import (
    adjusted_rand_score,
    calinski_harabasz_score,
    davies_bouldin_score,
    silhouette_score,
)
from sklearn.preprocessing import StandardScaler

from medlake.ml import Birch, KMeans
from medlake.ml.cf_tree import features_of
from medlake.ml.choice import adjusted_rand_of, best_jaccard, best_k, tried
from medlake.ml.lloyd import Resample


def _frame(spark: SparkSession, points: np.ndarray, n_partitions: int = 3) -> DataFrame:
    rows = [(i, [float(v) for v in p]) for i, p in enumerate(points)]
    return spark.createDataFrame(rows, "id bigint, features array<double>").repartition(n_partitions)


def _labels(transformed: DataFrame) -> np.ndarray:
    return np.array([r["cluster"] for r in sorted(transformed.select("id", "cluster").collect())])


def _inertia(points: np.ndarray, label: np.ndarray) -> float:
    return sum(float(((p - p.mean(axis=0)) ** 2).sum()) for p in (points[label == g] for g in set(label.tolist())))


POINTS = {
    "blobs": (make_blobs(3000, n_features=5, centers=6, cluster_std=2.0, random_state=1)[0], 6),
    "no groups": (np.random.default_rng(2).normal(size=(2000, 3)), 4),
    "breast cancer": (StandardScaler().fit_transform(load_breast_cancer().data), 3),
}


@pytest.mark.parametrize("name", POINTS)
def test_k_means_ends_within_one_percent_of_scikit_learn(spark, name):
    points, k = POINTS[name]
    model = KMeans(k=k, seed=1).fit(_frame(spark, points))
    want = OneMachine(k, n_init=10, random_state=1).fit(points)
    label = _labels(model.transform(_frame(spark, points)))
    assert model.inertia <= 1.01 * want.inertia_
    assert model.inertia == pytest.approx(_inertia(points, label), rel=1e-3)
    assert model.sizes == sorted(model.sizes, reverse=True) == [int((label == g).sum()) for g in range(k)]


def test_k_means_refuses_what_it_cannot_group(spark):
    frame = _frame(spark, np.array([[1.0, 2.0]] * 5 + [[3.0, 4.0]]))
    with pytest.raises(ValueError, match="2 distinct points are fewer than k = 3"):
        KMeans(k=3).fit(frame)
    with pytest.raises(ValueError, match="no rows"):
        KMeans(k=3).fit(frame.where("id < 0"))


@pytest.mark.parametrize("step", ["kmeans", "agglomerative"])
def test_birch_finds_the_groups_of_scikit_learn(spark, step):
    points = make_blobs(2000, n_features=4, centers=5, random_state=3)[0]
    model = Birch(threshold=0.8, k=5, globalStep=step).fit(_frame(spark, points))
    label = _labels(model.transform(_frame(spark, points)))
    want = OneBirch(threshold=0.8, n_clusters=5).fit(points)
    assert adjusted_rand_score(want.labels_, label) >= 0.95
    assert _inertia(points, label) <= 1.02 * _inertia(points, want.labels_)
    assert sum(mass for _, mass, _ in model.subclusters) == len(points)


def test_a_threshold_far_too_small_is_raised_until_the_tree_fits_its_bound(spark):
    points = make_blobs(3000, n_features=3, centers=4, random_state=4)[0]
    model = Birch(threshold=1e-6, k=4, maxSubclusters=60).fit(_frame(spark, points))
    assert len(model.subclusters) <= 60 and model.usedThreshold > 1e-6
    label = _labels(model.transform(_frame(spark, points)))
    assert adjusted_rand_score(OneMachine(4, n_init=10, random_state=0).fit(points).labels_, label) >= 0.95


def test_features_of_a_tree_add_up_to_the_sums_of_the_points():
    points = np.random.default_rng(5).normal(size=(7000, 2))
    made = features_of([points[:3000], points[3000:]], threshold=0.05, branching=20, most=50)
    assert made is not None and len(made.mass) <= 50
    assert made.mass.sum() == 7000
    assert made.linear.sum(axis=0) == pytest.approx(points.sum(axis=0))
    assert made.squares.sum() == pytest.approx((points**2).sum())


def test_the_figures_of_a_k_are_those_of_scikit_learn_and_planted_groups_win(spark):
    points = make_blobs(900, n_features=3, centers=4, random_state=6)[0]
    found = tried(_frame(spark, points), [2, 3, 4, 5], seed=3, n_resamples=10, n_references=4)
    of_four = next(one for one in found if one.k == 4)
    label = ((points[:, None] - of_four.centres[None]) ** 2).sum(axis=2).argmin(axis=1)
    assert of_four.silhouette == pytest.approx(silhouette_score(points, label, metric="sqeuclidean"), abs=1e-9)
    assert of_four.davies_bouldin == pytest.approx(davies_bouldin_score(points, label), rel=1e-9)
    assert of_four.calinski_harabasz == pytest.approx(calinski_harabasz_score(points, label), rel=1e-9)
    assert min(of_four.jaccard) > 0.95 and of_four.halves > 0.95 and of_four.agreement > 0.95
    assert min(next(one for one in found if one.k == 5).jaccard) < 0.75
    assert {best_k(found, by=name) for name in ("silhouette", "gap", "stability")} == {4}
    with pytest.raises(ValueError, match="chosen by"):
        best_k(found, by="taste")


def test_agreement_of_two_groupings_by_hand():
    draw = np.random.default_rng(1)
    a, b = draw.integers(0, 4, 200), draw.integers(0, 3, 200)
    cells = np.zeros((4, 3))
    np.add.at(cells, (a, b), 1)
    assert adjusted_rand_of(cells) == pytest.approx(adjusted_rand_score(a, b))
    assert best_jaccard(np.array([[3.0, 1.0], [0.0, 4.0]])) == pytest.approx([3 / 4, 4 / 5])


def test_resamples_draw_by_the_point_and_not_by_its_place():
    points = np.random.default_rng(2).normal(size=(20_000, 3))
    order = np.random.default_rng(3).permutation(len(points))
    drawn = Resample(5).weights(points)
    assert (Resample(5).weights(points[order]) == drawn[order]).all()
    assert drawn.mean() == pytest.approx(1, abs=0.03) and drawn.var() == pytest.approx(1, abs=0.05)
    first, second = (Resample(5, half).weights(points) for half in (0, 1))
    assert (first + second == 1).all() and first.mean() == pytest.approx(0.5, abs=0.02)
