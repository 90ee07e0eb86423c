"""K-means on Spark: Lloyd's iteration as one aggregation per step. Fitting runs Spark jobs.

Source: Lloyd 1982; k-means++ by Arthur and Vassilvitskii 2007.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from pyspark import keyword_only
from pyspark.ml import Estimator, Model
from pyspark.ml.param import Param, Params, TypeConverters
from pyspark.ml.param.shared import HasFeaturesCol, HasMaxIter, HasPredictionCol, HasSeed, HasTol
from pyspark.ml.util import DefaultParamsReadable, DefaultParamsWritable
from pyspark.sql import DataFrame

from medlake.ml.blocks import Floats, as_blocks
from medlake.ml.lloyd import Fitted, lloyd, starts
from medlake.ml.nearest import with_nearest
from medlake.ml.persistence import KeepsTables
from medlake.ml.survey import Survey, surveyed

SAMPLE = 20_000  # distinct points that starts are looked for on


class _Params(HasFeaturesCol, HasPredictionCol, HasSeed, HasMaxIter, HasTol):
    k: Param[int] = Param(Params._dummy(), "k", "number of groups", TypeConverters.toInt)
    nInit: Param[int] = Param(Params._dummy(), "nInit", "starts tried on the sample", TypeConverters.toInt)
    nKept: Param[int] = Param(Params._dummy(), "nKept", "best starts that all rows refine", TypeConverters.toInt)

    def __init__(self) -> None:
        super().__init__()
        self._setDefault(k=2, nInit=10, nKept=2, maxIter=100, tol=1e-4, seed=0, predictionCol="cluster")


class KMeans(Estimator["KMeansModel"], _Params, DefaultParamsReadable[Any], DefaultParamsWritable):
    """k groups around their means, the sum of squared distances as small as the best of several starts gets it.

    Starts: nInit runs of k-means++ on a seeded sample of at most 20,000 distinct points with their copies; the
    nKept best are refined on all rows, all in the same passes. A run ends when the centres' squared moves sum to
    at most tol × the mean variance of a feature (scikit-learn's rule), or after maxIter steps. Groups are
    numbered from 0 by falling size; ties: by their centres, coordinate by coordinate.

    Cost: one pass per step, O(rows × k × dimensions × nKept); a task holds a batch; the driver adds
    partitions × nKept × k × dimensions numbers per step. Equal data in other partitions differ in the last bits.

    transform adds `predictionCol` int, null where features are null or not finite.

    Raises:
        ValueError: no rows, unsound features, or fewer distinct points than k.

    >>> model = KMeans(k=4, featuresCol="scaled", seed=7).fit(patients)  # doctest: +SKIP
    >>> model.inertia, model.sizes, model.clusterCenters()  # doctest: +SKIP
    """

    @keyword_only
    def __init__(
        self, *, k: int = 2, featuresCol: str = "features", predictionCol: str = "cluster", seed: int = 0,
        maxIter: int = 100, tol: float = 1e-4, nInit: int = 10, nKept: int = 2,
    ) -> None:  # fmt: skip
        super().__init__()
        self._set(**self._input_kwargs)  # type: ignore[attr-defined]

    def _fit(self, dataset: DataFrame) -> KMeansModel:
        features, seed = self.getOrDefault(self.featuresCol), self.getOrDefault(self.seed)
        survey = surveyed(dataset, features, size=SAMPLE, seed=seed)
        blocks = as_blocks(dataset, features).localCheckpoint()
        begin = starts(
            survey.sample, survey.weight, self.getOrDefault(self.k),
            n_tried=self.getOrDefault(self.nInit), n_kept=self.getOrDefault(self.nKept), seed=seed,
        )  # fmt: skip
        limit = tolerance(survey, self.getOrDefault(self.tol))
        ends = lloyd(blocks, begin, max_iter=self.getOrDefault(self.maxIter), tolerance=limit)
        model = KMeansModel()
        model._fitted = by_size(min(ends, key=lambda one: one.inertia))
        return self._copyValues(model)


def tolerance(survey: Survey, tol: float) -> float:
    """The squared move of all centres together that counts as none."""
    mean = np.average(survey.sample, axis=0, weights=survey.weight)
    return tol * float(np.average((survey.sample - mean) ** 2, axis=0, weights=survey.weight).mean())


def by_size(fitted: Fitted) -> Fitted:
    """The centres in the order of their sizes, largest first; ties by their coordinates."""
    order = np.lexsort((*fitted.centres.T[::-1], -np.round(fitted.mass)))
    return Fitted(fitted.centres[order], fitted.inertia, fitted.mass[order], fitted.n_iter)


class KMeansModel(Model, _Params, KeepsTables):
    """The centres; what belongs to which is decided anew for every row."""

    def __init__(self) -> None:
        super().__init__()
        self._fitted = Fitted(np.empty((0, 0)), 0.0, np.empty(0), 0)

    @property
    def inertia(self) -> float:
        """Sum of squared distances of the rows of the fit to their centres."""
        return self._fitted.inertia

    @property
    def sizes(self) -> list[int]:
        """Rows of the fit in each group."""
        return [round(m) for m in self._fitted.mass]

    @property
    def nIter(self) -> int:
        """Steps over all rows until the centres stood still."""
        return self._fitted.n_iter

    def clusterCenters(self) -> list[Floats]:
        """The centre of each group."""
        return list(self._fitted.centres)

    def _transform(self, dataset: DataFrame) -> DataFrame:
        centres = self._fitted.centres
        if not len(centres):
            raise ValueError("this model has no centres: fit a KMeans, or load a model")
        names = (self.getOrDefault(self.featuresCol), self.getOrDefault(self.predictionCol))
        return with_nearest(dataset, names[0], centres, np.arange(len(centres)), names[1])

    def _facts(self) -> dict[str, Any]:
        f = self._fitted
        return {"centres": f.centres.tolist(), "inertia": f.inertia, "mass": f.mass.tolist(), "n_iter": f.n_iter}

    def _tables(self) -> dict[str, DataFrame]:
        return {}

    def _restore(self, facts: dict[str, Any], tables: dict[str, DataFrame]) -> None:
        self._fitted = Fitted(np.array(facts["centres"]), facts["inertia"], np.array(facts["mass"]), facts["n_iter"])
