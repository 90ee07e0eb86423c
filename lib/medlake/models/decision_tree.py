"""One decision tree: the model that can be drawn.

Fitted as a regression of the outcome (0 or 1): variance is half of Gini's impurity, so the splits are those of
a classification tree. MLlib's classifier merges sibling leaves that vote for the same class and with them loses
their different risks: on the breast-cancer table 20 risks and an AUROC of 0.953 remain of 22 and 0.969.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from pyspark.ml.base import Transformer
from pyspark.ml.feature import SQLTransformer, VectorAssembler
from pyspark.ml.regression import DecisionTreeRegressionModel, DecisionTreeRegressor

from medlake.models.model import LABEL, Model, Params_, Stage
from medlake.models.preparation import PREPARED

MAX_BINS = 512  # thresholds tried per feature: all of them on small data


def stages(params: Params_, seed: int, n_rows: int) -> list[Stage]:
    """`min_rows` is the smallest number of training rows in a leaf."""
    return [
        DecisionTreeRegressor(
            featuresCol=PREPARED, labelCol=LABEL, maxDepth=int(params["max_depth"]),
            minInstancesPerNode=int(params["min_rows"]), maxBins=MAX_BINS, seed=seed,
        ),
        SQLTransformer(statement="SELECT *, 1 - prediction AS no_outcome FROM __THIS__"),
        VectorAssembler(inputCols=["no_outcome", "prediction"], outputCol="probability"),
    ]  # fmt: skip


def weights(fitted: Sequence[Transformer]) -> list[float]:
    """Importances: share of the impurity removed."""
    return [float(w) for w in _model(fitted).featureImportances.toArray()]


def parameters(fitted: Sequence[Transformer]) -> str:
    """Every split and leaf, with the importances, which tell apart leaves of other sizes."""
    return f"{_model(fitted).toDebugString} {weights(fitted)}"


def _model(fitted: Sequence[Transformer]) -> DecisionTreeRegressionModel:
    return cast(DecisionTreeRegressionModel, fitted[-3])


MODEL = Model(
    name="decision_tree",
    about="Decision tree",
    params={"max_depth": 4, "min_rows": 10},
    kind="importance",
    stages=stages,
    weights=weights,
    parameters=parameters,
)
