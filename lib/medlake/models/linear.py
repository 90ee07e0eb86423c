"""Linear models: one loss with an L2 penalty, one solver, wherever the rows are. Fitting one runs Spark jobs.

MLlib sends a job for every step of its search, and on a small table a job costs more than the sums over its rows. Here
a table that one task can hold is fitted inside that task, in one job. Above that the solver runs in the driver and a
job per step adds up what the partitions say: the driver sees one sum per partition, never rows. Fitted models are
MLlib's own, so that any Spark loads them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from pyspark.ml import Estimator
from pyspark.ml.base import Transformer
from pyspark.ml.common import _py2java
from pyspark.ml.functions import vector_to_array
from pyspark.ml.linalg import Vectors
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from scipy.optimize import minimize
from scipy.special import expit

from medlake.models.model import LABEL

ONE_TASK_ROWS = 200_000  # up to here one task fits; with 100 features it holds 160 MB of numbers
MAX_STEPS = 200
TOLERANCE = 1e-11  # of the loss, from one step to the next
CORNER = 0.01  # the hinge is rounded this near to its corner: the search needs a slope everywhere

Array = np.ndarray[Any, np.dtype[np.float64]]
Loss = Callable[[Array], tuple[Array, Array]]  # margins (above 0: on the right side) → loss and its slope, per row


def logistic(margin: Array) -> tuple[Array, Array]:
    """Minus the log-likelihood."""
    return np.logaddexp(0, -margin), -expit(-margin)


def hinge(margin: Array) -> tuple[Array, Array]:
    """What a margin lacks of 1; a parabola within CORNER of the corner."""
    gap = 1 - margin
    lost = np.where(gap < CORNER, np.square(np.maximum(gap, 0)) / (2 * CORNER), gap - CORNER / 2)
    return lost, -np.clip(gap / CORNER, 0, 1)


class Linear(Estimator[Transformer]):
    """Coefficients and intercept with the least weighted mean loss + penalty / 2 · squared length of the coefficients.

    Input columns: `features` a vector, LABEL, and `weight` where given (else all rows weigh the same).
    made: coefficients, intercept → the fitted stage. n_rows: the number of rows, or a bound for it.
    """

    def __init__(
        self, loss: Loss, made: Callable[[Array, float], Transformer], *,
        features: str, weight: str | None = None, penalty: float, n_rows: int,
    ) -> None:  # fmt: skip
        super().__init__()
        self.loss, self.made, self.penalty, self.n_rows = loss, made, penalty, n_rows
        self.features, self.weight = features, weight

    def _fit(self, dataset: DataFrame) -> Transformer:
        weight = F.lit(1.0) if self.weight is None else F.col(self.weight)
        rows = dataset.select(
            vector_to_array(F.col(self.features)).alias("x"), F.col(LABEL).alias("label"), weight.alias("weight")
        )
        solve = _in_one_task if self.n_rows <= ONE_TASK_ROWS else _from_the_driver
        point = solve(rows, self.loss, self.penalty)
        return self.made(point[:-1], float(point[-1]))


def of_spark(name: str, coefficients: Array, intercept: float) -> Any:
    """A model of MLlib in the JVM, e.g. `LogisticRegressionModel`, with these numbers.

    Scala keeps the constructor to Spark itself, Java does not; test_linear.py tells when a new Spark has another.
    """
    context = SparkSession.active().sparkContext
    ml: Any = context._jvm.org.apache.spark.ml  # type: ignore[union-attr]
    uid = ml.util.Identifiable.randomUID(name.removesuffix("Model").lower())
    return getattr(ml.classification, name)(uid, _py2java(context, Vectors.dense(coefficients)), intercept)


def minimised(sums: Callable[[Array], Array], penalty: float, n_features: int) -> Array:
    """The coefficients, and the intercept behind them, by L-BFGS from 0.

    sums: a point → over all rows the weighted loss, the weight, and the slope by coefficient and intercept.
    """

    def objective(point: Array) -> tuple[float, Array]:
        lost, weight, *slope = sums(point)
        shrunk = np.append(point[:-1], 0.0)
        return lost / weight + penalty / 2 * float(shrunk @ shrunk), np.array(slope) / weight + penalty * shrunk

    limits = {"maxiter": MAX_STEPS, "ftol": TOLERANCE, "gtol": 1e-8}
    found = minimize(objective, np.zeros(n_features + 1), jac=True, method="L-BFGS-B", options=limits)
    return np.asarray(found.x)


def _in_one_task(rows: DataFrame, loss: Loss, penalty: float) -> Array:
    # `first` would stop reading before the end, and a Python process that is left so is not used again
    found = rows.coalesce(1).mapInPandas(partial(_fit_here, loss, penalty), "point array<double>").collect()  # one row
    if not found:
        raise ValueError("no rows to fit a model to")
    return np.array(found[0]["point"])


def _fit_here(loss: Loss, penalty: float, batches: Iterator[pd.DataFrame]) -> Iterator[pd.DataFrame]:
    """All rows of the task → one row, the point; none without rows."""
    every = list(batches)
    if sum(map(len, every)):
        x, sign, weight = _arrays(pd.concat(every))
        point = minimised(partial(_sums, loss, x, sign, weight), penalty, x.shape[1])
        yield pd.DataFrame({"point": [point]})


def _from_the_driver(rows: DataFrame, loss: Loss, penalty: float) -> Array:
    one = rows.first()
    if one is None:
        raise ValueError("no rows to fit a model to")

    def sums(point: Array) -> Array:
        told = rows.mapInPandas(partial(_sums_here, loss, point), "sums array<double>").collect()  # one per partition
        return np.asarray(np.sum([row["sums"] for row in told], axis=0))

    return minimised(sums, penalty, len(one["x"]))


def _sums_here(loss: Loss, point: Array, batches: Iterator[pd.DataFrame]) -> Iterator[pd.DataFrame]:
    """The rows of a partition → one row, their sums; none without rows."""
    told = [_sums(loss, *_arrays(batch), point) for batch in batches if len(batch)]
    if told:
        yield pd.DataFrame({"sums": [np.sum(told, axis=0)]})


def _arrays(rows: pd.DataFrame) -> tuple[Array, Array, Array]:
    """Features (rows x features), outcomes as 1 and -1, weights."""
    return np.stack(rows["x"].to_list()), np.where(rows["label"] > 0.5, 1.0, -1.0), rows["weight"].to_numpy(dtype=float)


def _sums(loss: Loss, x: Array, sign: Array, weight: Array, point: Array) -> Array:
    lost, slope = loss(sign * (x @ point[:-1] + point[-1]))
    pull = weight * slope * sign
    return np.array([weight @ lost, weight.sum(), *(x.T @ pull), pull.sum()])
