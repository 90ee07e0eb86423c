"""Random forest."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from pyspark.ml.base import Transformer
from pyspark.ml.classification import RandomForestClassificationModel, RandomForestClassifier

from medlake.models.model import LABEL, Model, Params_, Stage
from medlake.models.preparation import PREPARED


def stages(params: Params_, seed: int, n_rows: int) -> list[Stage]:
    """Gini splits on the square root of the number of features at each node."""
    return [
        RandomForestClassifier(
            featuresCol=PREPARED, labelCol=LABEL, seed=seed,
            numTrees=int(params["n_trees"]), maxDepth=int(params["max_depth"]),
            minInstancesPerNode=int(params["min_rows"]), featureSubsetStrategy="sqrt",
        )
    ]  # fmt: skip


def weights(fitted: Sequence[Transformer]) -> list[float]:
    """Importances: share of the impurity removed, averaged over the trees."""
    return [float(w) for w in _model(fitted).featureImportances.toArray()]


def parameters(fitted: Sequence[Transformer]) -> str:
    """Every split and leaf of every tree, with the importances."""
    return f"{_model(fitted).toDebugString} {weights(fitted)}"


def _model(fitted: Sequence[Transformer]) -> RandomForestClassificationModel:
    return cast(RandomForestClassificationModel, fitted[-1])


MODEL = Model(
    name="random_forest",
    about="Random forest",
    params={"n_trees": 60, "max_depth": 5, "min_rows": 2},
    kind="importance",
    stages=stages,
    weights=weights,
    parameters=parameters,
)
