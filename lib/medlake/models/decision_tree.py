"""One decision tree: the model that can be drawn."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from pyspark.ml.base import Transformer
from pyspark.ml.classification import DecisionTreeClassificationModel, DecisionTreeClassifier

from medlake.models.model import LABEL, Model, Params_, Stage
from medlake.models.preparation import PREPARED


def stages(params: Params_, seed: int, n_rows: int) -> list[Stage]:
    """Gini splits; `min_rows` is the smallest number of training rows in a leaf."""
    return [
        DecisionTreeClassifier(
            featuresCol=PREPARED, labelCol=LABEL, maxDepth=int(params["max_depth"]),
            minInstancesPerNode=int(params["min_rows"]), seed=seed,
        )
    ]  # fmt: skip


def weights(fitted: Sequence[Transformer]) -> list[float]:
    """Importances: share of the impurity removed."""
    return [float(w) for w in _model(fitted).featureImportances.toArray()]


def parameters(fitted: Sequence[Transformer]) -> str:
    """Every split and leaf, with the importances, which tell apart leaves of other sizes."""
    return f"{_model(fitted).toDebugString} {weights(fitted)}"


def _model(fitted: Sequence[Transformer]) -> DecisionTreeClassificationModel:
    return cast(DecisionTreeClassificationModel, fitted[-1])


MODEL = Model(
    name="decision_tree",
    about="Decision tree",
    params={"max_depth": 4, "min_rows": 10},
    kind="importance",
    stages=stages,
    weights=weights,
    parameters=parameters,
)
