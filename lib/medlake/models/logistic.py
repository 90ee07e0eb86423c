"""Logistic regression with an L2 penalty."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from pyspark.ml.base import Transformer
from pyspark.ml.classification import LogisticRegression, LogisticRegressionModel

from medlake.models.model import LABEL, Model, Params_, Stage
from medlake.models.preparation import PREPARED

MAX_ITERATIONS = 100
TOLERANCE = 1e-3  # of the loss; risks agree with 1e-6 to 5 decimals at half the passes


def stages(params: Params_, seed: int, n_rows: int) -> list[Stage]:
    """`c` as in scikit-learn: Spark's penalty is per row, hence 1 / (c · n). No randomness, so no seed."""
    return [
        LogisticRegression(
            featuresCol=PREPARED, labelCol=LABEL, regParam=1 / (params["c"] * n_rows), standardization=False,
            maxIter=MAX_ITERATIONS, tol=TOLERANCE,
        )
    ]  # fmt: skip


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
