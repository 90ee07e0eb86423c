"""Linear support vector machine; its margin becomes a probability by Platt's logistic scaling."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from pyspark.ml.base import Transformer
from pyspark.ml.classification import LinearSVCModel, LogisticRegressionModel
from pyspark.ml.feature import VectorSlicer

from medlake.models.linear import Array, Linear, hinge, of_spark
from medlake.models.logistic import regression
from medlake.models.model import CLASS_WEIGHT, Model, Params_, Stage
from medlake.models.preparation import PREPARED

# Platt (1999) softens the targets to keep a separable training set from a slope without bound; a small
# penalty on the slope does the same here.
PLATT_PENALTY = 1e-3


def stages(params: Params_, seed: int, n_rows: int) -> list[Stage]:
    """Hinge loss with `c` as in scikit-learn; both outcomes weigh the same.

    An unweighted hinge on rare outcomes predicts none. The scaling is learned on the same training rows,
    unweighted, so that risks have their level. No randomness, so no seed.
    """

    def made(coefficients: Array, intercept: float) -> LinearSVCModel:
        model = LinearSVCModel(of_spark("LinearSVCModel", coefficients, intercept)).setFeaturesCol(PREPARED)
        return model.setRawPredictionCol("svm_margins").setPredictionCol("svm_class")

    penalty = 1 / (params["c"] * n_rows)
    return [
        Linear(hinge, made, features=PREPARED, weight=CLASS_WEIGHT, penalty=penalty, n_rows=n_rows),
        VectorSlicer(inputCol="svm_margins", outputCol="svm_margin", indices=[1]),
        regression("svm_margin", PLATT_PENALTY, n_rows),
    ]


def weights(fitted: Sequence[Transformer]) -> list[float]:
    """Margin coefficients times the slope of the scaling: change of log-odds for one standard deviation."""
    slope = float(_platt(fitted).coefficients.toArray()[0])
    return [slope * float(w) for w in _svm(fitted).coefficients.toArray()]


def parameters(fitted: Sequence[Transformer]) -> str:
    """Coefficients and intercept of the margin, slope and intercept of the scaling."""
    margin, platt = _svm(fitted), _platt(fitted)
    coefficients = [float(w) for w in margin.coefficients.toArray()]
    return (
        f"{coefficients} {margin.intercept!r} {float(platt.coefficients.toArray()[0])!r} {platt.intercept!r}"
    )


def _svm(fitted: Sequence[Transformer]) -> LinearSVCModel:
    return cast(LinearSVCModel, fitted[-3])


def _platt(fitted: Sequence[Transformer]) -> LogisticRegressionModel:
    return cast(LogisticRegressionModel, fitted[-1])


MODEL = Model(
    name="linear_svm",
    about="Linear support vector machine, Platt scaling",
    params={"c": 0.1},
    kind="coefficient",
    stages=stages,
    weights=weights,
    parameters=parameters,
)
