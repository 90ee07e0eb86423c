"""The ways to group rows, by name: this package's own, and MLlib's where MLlib has them. A registry."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pyspark.ml import Estimator
from pyspark.ml.clustering import BisectingKMeans, GaussianMixture

from medlake.ml.birch import Birch
from medlake.ml.dbscan import DBSCAN
from medlake.ml.kmeans import KMeans

METHODS: dict[str, Callable[..., Estimator[Any]]] = {
    "kmeans": KMeans,
    "birch": Birch,
    "dbscan": DBSCAN,
    "bisecting": BisectingKMeans,  # MLlib's: Steinbach 2000
    "mixture": GaussianMixture,  # MLlib's: expectation maximisation, full covariances
}


def grouping(method: str, **params: Any) -> Estimator[Any]:
    """An estimator by the name of its method; `params` are those of the estimator. Its column is `cluster` by default.

    MLlib's two need a vector column as features and number their groups from 0 in no order; params they lack, as the
    methods differ, are refused by them.

    Raises:
        ValueError: the method is unknown.

    >>> grouping("mixture", k=3, seed=1).fit(patients)  # doctest: +SKIP
    """
    if method not in METHODS:
        raise ValueError(f"method is {method!r}; it can be {', '.join(METHODS)}")
    return METHODS[method](**{"predictionCol": "cluster", **params})
