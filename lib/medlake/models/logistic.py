"""Logistic regression with an L2 penalty."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from pyspark.ml.base import Transformer
from pyspark.ml.classification import LogisticRegressionModel

from medlake.models.linear import Array, Linear, logistic, of_spark
from medlake.models.model import Model, Params_, Stage
from medlake.models.preparation import PREPARED


def stages(params: Params_, seed: int, n_rows: int) -> list[Stage]:
    """`c` as in scikit-learn: the penalty is per row, hence 1 / (c · n). No randomness, so no seed."""
    return [regression(PREPARED, 1 / (params["c"] * n_rows), n_rows)]


def regression(features: str, penalty: float, n_rows: int) -> Linear:
    """A logistic regression of the outcome on a vector column."""

    def made(coefficients: Array, intercept: float) -> LogisticRegressionModel:
        model = LogisticRegressionModel(of_spark("LogisticRegressionModel", coefficients, intercept))
        return model.setFeaturesCol(features)

    return Linear(logistic, made, features=features, penalty=penalty, n_rows=n_rows)


def weights(fitted: Sequence[Transformer]) -> list[float]:
    """Coefficients: change of the log-odds for one standard deviation."""
    return [float(w) for w in _model(fitted).coefficients.toArray()]


def parameters(fitted: Sequence[Transformer]) -> str:
    """Coefficients and intercept."""
    return f"{weights(fitted)} {_model(fitted).intercept!r}"


def _model(fitted: Sequence[Transformer]) -> LogisticRegressionModel:
    return cast(LogisticRegressionModel, fitted[-1])


MODEL = Model(
    name="logistic",
    about="Logistic regression, L2 penalty",
    params={"c": 1.0},
    kind="coefficient",
    stages=stages,
    weights=weights,
    parameters=parameters,
)
