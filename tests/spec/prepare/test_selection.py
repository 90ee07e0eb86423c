"""Scores of columns equal scikit-learn's; what one sample shows by luck does not come back in others."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from frames import frame, holed, matrix, names
from pyspark.ml.functions import vector_to_array
from pyspark.sql import functions as F
from scipy.stats import chi2 as chi2_distribution
from sklearn.feature_selection import chi2, f_classif

from medlake.prepare import Selector, SelectorModel


def cases(n, seed):
    """Six columns: the first two say something about one of three classes, the third repeats the first."""
    rng = np.random.default_rng(seed)
    label = rng.integers(0, 3, n)
    points = rng.normal(size=(n, 6))
    points[:, 0] += label
    points[:, 1] -= 0.5 * (label == 2)
    points[:, 2] = points[:, 0] + 0.05 * rng.normal(size=n)
    points[:, 5] = 4.0
    return points * [1, 10, 1, 1e-3, 1, 1], label


def told(model):
    return np.array([s.score for s in model.scores]), np.array([np.nan if s.p is None else s.p for s in model.scores])


def test_scores_with_a_label_equal_scikit_learns(spark, tmp_path):
    points, label = cases(300, 1)
    rows = frame(spark, points, label=label).repartition(3)
    anova = Selector(inputCols=names(points), method="anova").fit(rows)
    want = f_classif(points[:, :5], label)
    np.testing.assert_allclose(told(anova)[0][:5], want[0], rtol=1e-6)
    np.testing.assert_allclose(told(anova)[1][:5], want[1], rtol=1e-6)
    assert np.isnan(told(anova)[0][5])  # no spread, nothing to say
    far = Selector(inputCols=["x0"], method="anova").fit(frame(spark, points[:, :1] + 1e7, label=label))
    assert told(far)[0][0] == pytest.approx(want[0][0], rel=1e-6)  # scikit-learn itself is 1 % off there
    assert anova.selected == [f"x{i}" for i in range(5) if want[1][i] <= 0.05]

    counts = np.random.default_rng(2).poisson(3, size=(300, 4)) + np.outer(label == 1, [2, 0, 0, 0])
    top = Selector(inputCols=names(counts), method="chi2", numTopFeatures=2, outputCol="features")
    top.fit(frame(spark, counts, label=label.astype(str))).save(str(tmp_path / "model"))
    model = SelectorModel.load(str(tmp_path / "model"))
    np.testing.assert_allclose(told(model), chi2(counts, label), rtol=1e-6)
    best = sorted(np.argsort(-chi2(counts, label)[0])[:2])
    assert model.selected == [f"x{i}" for i in best] and model.selected[0] == "x0"
    vector = model.transform(frame(spark, counts)).select("id", vector_to_array("features").alias("v"))
    np.testing.assert_array_equal(matrix(vector.select("id", F.col("v")[0].alias("a"), F.col("v")[1].alias("b")), "a", "b"), counts[:, best])
    with pytest.raises(ValueError, match="have values below 0"):
        Selector(inputCols=names(points), method="chi2").fit(rows)
    with pytest.raises(ValueError, match="more than 100 classes"):
        Selector(inputCols=["x1"], labelCol="x0", method="anova").fit(rows)


def test_missing_values_count_for_no_column(spark):
    points, label = cases(200, 1)
    points = holed(points, 0.3, 2)
    found = told(Selector(inputCols=names(points), method="anova").fit(frame(spark, points, label=label)))
    for i in range(5):
        there = ~np.isnan(points[:, i])
        want = f_classif(points[there, i : i + 1], label[there])
        np.testing.assert_allclose((found[0][i], found[1][i]), np.ravel(want), rtol=1e-6)


def test_mutual_information_equals_that_of_the_binned_columns(spark):
    points, label = cases(300, 1)
    points = holed(points, 0.1, 2)
    points[:, 4] = np.round(points[:, 4])  # a few values with many ties
    found = told(Selector(inputCols=names(points), method="mutual_information", nBins=6).fit(frame(spark, points, label=label)))
    for i in range(5):
        there = ~np.isnan(points[:, i])
        x, y = points[there, i], label[there]
        bins = np.searchsorted(np.unique(np.quantile(x, np.arange(1, 6) / 6)), x, side="right")
        joint = pd.crosstab(bins, y, normalize=True).to_numpy()
        apart = joint.sum(1, keepdims=True) * joint.sum(0, keepdims=True)
        nats = np.sum(joint[joint > 0] * np.log((joint / apart)[joint > 0]))
        p = chi2_distribution.sf(2 * len(x) * nats, (joint.shape[0] - 1) * (joint.shape[1] - 1))
        np.testing.assert_allclose((found[0][i], found[1][i]), (nats, p), rtol=1e-6)


def test_columns_are_judged_without_a_label(spark):
    points, _ = cases(300, 1)
    points = holed(points, 0.1, 2)
    points[20:, 3] = np.nan
    rows = frame(spark, points).repartition(3)
    flat = Selector(inputCols=names(points), method="variance", threshold=1e-5).fit(rows)
    np.testing.assert_allclose(told(flat)[0], np.nanvar(points, axis=0), rtol=1e-6, atol=1e-12)
    assert flat.selected == ["x0", "x1", "x2", "x4"]
    known = Selector(inputCols=names(points), method="missingness").fit(rows)
    np.testing.assert_allclose(told(known)[0], np.isnan(points).mean(axis=0))
    assert known.selected == ["x0", "x1", "x2", "x4", "x5"]
    assert known.transform(rows).columns == ["id", "x0", "x1", "x2", "x4", "x5"]
    r = pd.DataFrame(points).corr().to_numpy()
    alike = Selector(inputCols=["x2", "x1", "x0", "x3"], method="correlation").fit(rows)
    assert alike.selected == ["x2", "x1", "x3"]  # of two alike the one declared first
    assert alike.scores[2].score == pytest.approx(abs(r[0, 2]), rel=1e-6)


def test_what_is_luck_does_not_come_back(spark):
    points, label = cases(240, 4)
    person = np.arange(240) // 2
    rows = frame(spark, points[:, [0, 1, 3, 4, 5]], label=(label > 0).astype(float), person_id=person)
    made = Selector(
        inputCols=names(points)[:5], method="l1", regParam=0.03, nResamples=4, minFrequency=0.9, personCol="person_id"
    ).fit(rows)  # fmt: skip
    frequency = {s.column: s.frequency for s in made.scores}
    assert made.selected[0] == "x0" and frequency["x0"] == 1.0 and frequency["x4"] == 0.0
    assert set(made.selected) <= {"x0", "x1"}
    forest = Selector(inputCols=names(points)[:5], method="importance", numTopFeatures=2, seed=1).fit(rows)
    assert "x0" in forest.selected and len(forest.selected) == 2
    assert sum(s.score for s in forest.scores) == pytest.approx(1)
    with pytest.raises(ValueError, match="name their column in personCol"):
        Selector(inputCols=["x0"], method="l1", nResamples=3).fit(rows)
    with pytest.raises(Exception, match="put an imputer before it"):
        Selector(inputCols=["x0"], method="l1").fit(frame(spark, [[1], [np.nan]], label=[0.0, 1.0]))
