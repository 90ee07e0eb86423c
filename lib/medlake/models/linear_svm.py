"""Linear support vector machine; its margin becomes a probability by Platt's logistic scaling."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from pyspark.ml.base import Transformer
from pyspark.ml.classification import LinearSVC, LinearSVCModel, LogisticRegression, LogisticRegressionModel
from pyspark.ml.feature import VectorSlicer

from medlake.models.model import CLASS_WEIGHT, LABEL, Model, Params_, Stage
from medlake.models.preparation import PREPARED

MAX_ITERATIONS = 20  # discrimination no longer moves after about 15 passes
TOLERANCE = 1e-3  # of the loss
# Platt (1999) softens the targets to keep a separable training set from a slope without bound; a small
# penalty on the slope does the same here.
PLATT_PENALTY = 1e-3


def stages(params: Params_, seed: int, n_rows: int) -> list[Stage]:
    """Hinge loss with `c` as in scikit-learn; both outcomes weigh the same.

    An unweighted hinge on rare outcomes predicts none. The scaling is learned on the same training rows,
    unweighted, so that risks have their level. No randomness, so no seed.
    """
    return [
        LinearSVC(
            featuresCol=PREPARED, labelCol=LABEL, weightCol=CLASS_WEIGHT, regParam=1 / (params["c"] * n_rows),
            standardization=False, maxIter=MAX_ITERATIONS, tol=TOLERANCE,
            rawPredictionCol="svm_margins", predictionCol="svm_class",
        ),
        VectorSlicer(inputCol="svm_margins", outputCol="svm_margin", indices=[1]),
        LogisticRegression(featuresCol="svm_margin", labelCol=LABEL, regParam=PLATT_PENALTY, maxIter=50),
    ]  # fmt: skip


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
