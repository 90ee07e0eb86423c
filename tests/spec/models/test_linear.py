"""The solver of linear models beside scikit-learn's, in one task and from the driver."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pyspark.ml import Pipeline, PipelineModel
from pyspark.ml.linalg import Vectors
from pyspark.sql import DataFrame, SparkSession
from sklearn.datasets import load_breast_cancer, load_diabetes
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from medlake.models import MODELS, linear
from medlake.models.linear import hinge
from medlake.models.logistic import regression
from medlake.models.model import risk

N = 300


def rows(spark: SparkSession, x: np.ndarray, y: np.ndarray) -> DataFrame:
    weight = np.where(y, len(y) / (2 * y.sum()), len(y) / (2 * (~y).sum()))
    data = [(Vectors.dense(a), float(b), float(w)) for a, b, w in zip(x, y, weight, strict=True)]
    return spark.createDataFrame(data, ["prepared", "label", "class_weight"]).localCheckpoint()


@pytest.fixture(scope="module", params=["breast cancer", "diabetes"])
def data(request: pytest.FixtureRequest) -> tuple[np.ndarray, np.ndarray]:
    found = load_breast_cancer() if request.param == "breast cancer" else load_diabetes()
    y = found.target == 0 if request.param == "breast cancer" else found.target > np.median(found.target)
    return StandardScaler().fit_transform(found.data[:N]), y[:N]


def fitted(frame: DataFrame, name: str, c: float) -> PipelineModel:
    return Pipeline(stages=MODELS[name].stages({"c": c}, 0, N)).fit(frame)


@pytest.mark.parametrize("c", [0.1, 1.0])
def test_a_logistic_regression_has_the_coefficients_of_scikit_learn(spark, data, c):
    x, y = data
    ours = fitted(rows(spark, x, y), "logistic", c).stages[0]
    theirs = LogisticRegression(C=c, tol=1e-10, max_iter=10_000).fit(x, y)
    assert ours.coefficients.toArray() == pytest.approx(theirs.coef_[0], abs=1e-4)
    assert ours.intercept == pytest.approx(theirs.intercept_[0], abs=1e-4)


@pytest.mark.parametrize("c", [0.1, 1.0])
def test_a_linear_svm_loses_what_that_of_scikit_learn_loses(spark, data, c):
    x, y = data
    sign, weight = np.where(y, 1, -1), np.where(y, N / (2 * y.sum()), N / (2 * (~y).sum()))

    def lost(slopes: np.ndarray, intercept: float) -> float:
        return float(weight @ np.maximum(0, 1 - sign * (x @ slopes + intercept)) / N + slopes @ slopes / (2 * c * N))

    ours = fitted(rows(spark, x, y), "linear_svm", c).stages[0]
    theirs = SVC(kernel="linear", C=c, class_weight="balanced", tol=1e-6).fit(x, y)
    assert lost(ours.coefficients.toArray(), ours.intercept) == pytest.approx(lost(theirs.coef_[0], theirs.intercept_[0]), rel=5e-3)


@pytest.mark.parametrize("name", ["logistic", "linear_svm"])
def test_from_the_driver_it_is_the_same_model(spark, name, monkeypatch):
    found = load_diabetes()
    frame = rows(spark, StandardScaler().fit_transform(found.data)[:N, :3], found.target[:N] > np.median(found.target))
    here = fitted(frame, name, 0.1).stages[0]
    monkeypatch.setattr(linear, "ONE_TASK_ROWS", N - 1)
    there = fitted(frame.repartition(3).localCheckpoint(), name, 0.1).stages[0]
    assert there.coefficients.toArray() == pytest.approx(here.coefficients.toArray(), abs=2e-4)


def test_what_is_saved_is_loaded_by_spark_and_says_the_same(spark, data, tmp_path: Path):
    frame = rows(spark, *data)
    for name in ("logistic", "linear_svm"):
        model = fitted(frame, name, 0.1)
        model.write().save(str(tmp_path / name))
        again = PipelineModel.load(str(tmp_path / name))
        assert again.transform(frame).select(risk()).collect() == model.transform(frame).select(risk()).collect()


def test_the_hinge_is_rounded_at_its_corner_only():
    margin = np.array([-1.0, 0.5, 0.985, 0.995, 1.0, 2.0])
    lost, slope = hinge(margin)
    assert lost == pytest.approx([1.995, 0.495, 0.01, 0.00125, 0, 0])
    assert slope == pytest.approx([-1, -1, -1, -0.5, 0, 0])


@pytest.mark.parametrize("bound", [0, linear.ONE_TASK_ROWS])
def test_without_rows_it_says_so(spark, bound, monkeypatch):
    monkeypatch.setattr(linear, "ONE_TASK_ROWS", bound)
    none = spark.createDataFrame([(Vectors.dense([1.0]), 1.0)], ["x", "label"]).where("label = 2")
    with pytest.raises(ValueError, match="no rows"):
        regression("x", 0.1, 1).fit(none)
