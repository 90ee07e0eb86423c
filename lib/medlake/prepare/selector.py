"""Which columns are worth keeping, by one of eight methods, with a table of scores. Fitting runs Spark jobs.

Sources: stability selection by Meinshausen and Bühlmann 2010; scores as scikit-learn's feature_selection has them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from pyspark import keyword_only
from pyspark.ml import Estimator
from pyspark.ml.classification import LogisticRegression, RandomForestClassifier
from pyspark.ml.feature import VectorAssembler
from pyspark.ml.functions import array_to_vector
from pyspark.ml.param import TypeConverters
from pyspark.ml.param.shared import HasLabelCol, HasSeed
from pyspark.ml.util import DefaultParamsReadable, DefaultParamsWritable
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from medlake.ml.blocks import Floats
from medlake.prepare import scores
from medlake.prepare.class_sums import class_bins, class_sums, correlations
from medlake.prepare.columns import Columns, KeepsFacts, named, number, param, vector

METHODS = ("variance", "missingness", "correlation", "chi2", "anova", "mutual_information", "l1", "importance")
WITH_LABEL = METHODS[3:]
BY_MODEL = METHODS[6:]
THRESHOLD = {"variance": 0.0, "missingness": 0.5, "correlation": 0.95}
MAX_P = 0.05
HALF = 0.5  # of the persons in a resample
TREES, DEPTH = 20, 5


class Score(NamedTuple):
    """What the fit says about a column; NaN and None where the method says nothing. frequency: of being chosen."""

    column: str
    score: float
    p: float | None
    frequency: float | None
    is_kept: bool


class _Params(Columns, HasLabelCol, HasSeed):
    method = param("method", ", ".join(METHODS), TypeConverters.toString)
    outputCol = param("outputCol", "vector of the kept columns; unset: the others are dropped", TypeConverters.toString)
    threshold = param("threshold", "variance above it; share missing, |r| up to it", TypeConverters.toFloat)
    maxP = param("maxP", "largest p of chi2, anova and mutual_information", TypeConverters.toFloat)
    numTopFeatures = param("numTopFeatures", "so many with the best scores, instead of maxP", TypeConverters.toInt)
    nBins = param("nBins", "bins of mutual_information", TypeConverters.toInt)
    regParam = param("regParam", "penalty of l1", TypeConverters.toFloat)
    nResamples = param("nResamples", "halves of the persons to fit l1 and importance to", TypeConverters.toInt)
    minFrequency = param("minFrequency", "share of resamples that must choose a column", TypeConverters.toFloat)
    personCol = param("personCol", "whose rows a resample takes or leaves together", TypeConverters.toString)

    def __init__(self) -> None:
        super().__init__()
        self._setDefault(
            method="anova", labelCol="label", maxP=MAX_P, nBins=10, regParam=0.01, nResamples=0,
            minFrequency=0.6, seed=0,
        )  # fmt: skip

    def value(self, name: str) -> Any:
        """A parameter's value; None where it is not set."""
        return self.getOrDefault(name) if self.isDefined(name) else None


class Selector(Estimator["SelectorModel"], _Params, DefaultParamsReadable[Any], DefaultParamsWritable):
    """Keeps columns of inputCols by one method; give it a label where the method asks for one.

    method, without a label: `variance` above threshold (0); `missingness` up to threshold (0.5); `correlation` drops
    a column whose |r| with a kept one before it, in the order of inputCols, is above threshold (0.95).
    With a label, missing values left out: `chi2` (counts and one-hot columns), `anova`, `mutual_information` (nBins
    bins by exact quantiles; nats): p up to maxP, or the numTopFeatures best.
    With a label 0 and 1 and without missing values: `l1` keeps columns whose coefficient is not 0 in MLlib's logistic
    regression with penalty regParam; `importance` the numTopFeatures best (unset: above the mean) of MLlib's random
    forest. With nResamples the fit is made on that many random halves of the persons, and a column stays that is
    chosen in minFrequency of them: a score that one sample gives by luck does not come back.

    Cost: one pass (mutual_information: two); l1 and importance: MLlib's fit, × nResamples. Equal scores: first by
    the order of inputCols.

    transform writes the vector `outputCol` of the kept columns, or drops the others where it is not set.

    >>> Selector(inputCols=labs, method="anova", numTopFeatures=20, outputCol="features").fit(train)  # doctest: +SKIP
    """

    @keyword_only
    def __init__(
        self, *, inputCols: list[str] | None = None, labelCol: str = "label", method: str = "anova",
        outputCol: str | None = None, threshold: float | None = None, maxP: float = MAX_P,
        numTopFeatures: int | None = None, nBins: int = 10, regParam: float = 0.01, nResamples: int = 0,
        minFrequency: float = 0.6, personCol: str | None = None, seed: int = 0,
    ) -> None:  # fmt: skip
        super().__init__()
        self._set(**self._given())

    def _fit(self, dataset: DataFrame) -> SelectorModel:
        method, columns = self.one_of("method", METHODS), self.inputs()
        if method in BY_MODEL:
            found = self._by_model(dataset, columns, method)
        elif method in WITH_LABEL:
            found = self._by_label(dataset, columns, method)
        else:
            found = self._by_itself(dataset, columns, method)
        model = SelectorModel()
        model._kept = {"scores": [list(one) for one in found]}
        return self._copyValues(model)

    def _by_itself(self, dataset: DataFrame, columns: list[str], method: str) -> list[Score]:
        given = self.value("threshold")
        threshold = THRESHOLD[method] if given is None else given
        sums = class_sums(dataset, columns, None)
        if method == "correlation":
            kept, score = scores.first_of_alike(correlations(dataset, columns, sums.together()[1]), threshold)
        elif method == "variance":
            score = scores.variance(sums)
            kept = [bool(s > threshold) for s in score]
        else:
            score = scores.missing_share(sums)
            kept = [bool(s <= threshold) for s in score]
        return [Score(c, float(s), None, None, k) for c, s, k in zip(columns, score, kept, strict=True)]

    def _by_label(self, dataset: DataFrame, columns: list[str], method: str) -> list[Score]:
        label: str = self.getOrDefault(self.labelCol)
        if method == "mutual_information":
            score, p = scores.mutual_information(class_bins(dataset, columns, label, self._edges(dataset, columns)))
        else:
            sums = class_sums(dataset, columns, label)
            negative = [c for c, low in zip(columns, sums.smallest.min(axis=0), strict=True) if low < 0]
            if method == "chi2" and negative:
                raise ValueError(f"Selector: chi2 is for counts; {', '.join(negative)} have values below 0")
            score, p = scores.chi2(sums) if method == "chi2" else scores.anova(sums)
        n_top = self.value("numTopFeatures")
        chosen = _best(score, n_top) if n_top else {i for i, one in enumerate(p) if one <= self.getOrDefault(self.maxP)}
        return [
            Score(c, float(score[i]), None if math.isnan(p[i]) else float(p[i]), None, i in chosen)
            for i, c in enumerate(columns)
        ]

    def _edges(self, dataset: DataFrame, columns: list[str]) -> list[list[float]]:
        n = self.getOrDefault(self.nBins)
        shares = F.array(*[F.lit(i / n) for i in range(1, n)])
        told = list(dataset.agg(*[F.percentile(number(c), shares) for c in columns]).first() or [])
        return [sorted(set(edges or [])) for edges in told]

    def _by_model(self, dataset: DataFrame, columns: list[str], method: str) -> list[Score]:
        label, n_resamples = named(self.getOrDefault(self.labelCol)), self.getOrDefault(self.nResamples)
        person = self.value("personCol")
        if n_resamples and person is None:
            raise ValueError("Selector: nResamples takes halves of the persons: name their column in personCol")
        whose = [] if person is None else [named(person).alias("person")]
        unsound = F.raise_error(F.lit(f"Selector: {method} takes no missing values: put an imputer before it"))
        whole = F.when(F.forall("x", lambda one: one.isNotNull()), F.col("x")).otherwise(unsound.cast("array<double>"))
        rows = dataset.select(vector(columns).alias("x"), label.cast("double").alias("label"), *whose)
        rows = rows.select(array_to_vector(whole).alias("features"), *rows.columns[1:]).localCheckpoint()
        score = self._weights(rows, method)
        if not n_resamples:
            chosen = self._chosen(score, method)
            return [Score(c, float(score[i]), None, None, i in chosen) for i, c in enumerate(columns)]
        times = np.zeros(len(columns))
        for number_ in range(n_resamples):
            draw = F.xxhash64(F.lit(self.getOrDefault(self.seed)), F.lit(number_), "person")
            half = rows.where(F.pmod(draw, F.lit(1_000_003)) < F.lit(1_000_003 * HALF))
            for i in self._chosen(self._weights(half, method), method):
                times[i] += 1
        often = times / n_resamples
        least = self.getOrDefault(self.minFrequency)
        return [
            Score(c, float(score[i]), None, float(often[i]), bool(often[i] >= least)) for i, c in enumerate(columns)
        ]

    def _weights(self, rows: DataFrame, method: str) -> Floats:
        seed = self.getOrDefault(self.seed)
        if method == "l1":
            logistic = LogisticRegression(elasticNetParam=1.0, regParam=self.getOrDefault(self.regParam))
            return np.asarray(np.abs(logistic.fit(rows).coefficients.toArray()))
        forest = RandomForestClassifier(numTrees=TREES, maxDepth=DEPTH, seed=seed)
        return np.asarray(forest.fit(rows).featureImportances.toArray())

    def _chosen(self, score: Floats, method: str) -> set[int]:
        n_top = self.value("numTopFeatures")
        able = set(np.flatnonzero(score > (0 if method == "l1" or n_top else score.mean())).tolist())
        return able & _best(score, n_top) if n_top else able


def _best(score: Floats, n: int) -> set[int]:
    """Places of the n best, the first of equal ones; NaN is never among them."""
    order = np.argsort(-np.where(np.isnan(score), -np.inf, score), kind="stable")[:n]
    return {int(i) for i in order if not math.isnan(score[i])}


class SelectorModel(KeepsFacts, _Params):
    """What was kept, and why. Lazy."""

    @property
    def scores(self) -> list[Score]:
        """One line per column, in the order of inputCols: `spark.createDataFrame(model.scores)` is the table."""
        return [Score(*one) for one in self._kept["scores"]]

    @property
    def selected(self) -> list[str]:
        """The columns that are kept."""
        return [one.column for one in self.scores if one.is_kept]

    def _transform(self, dataset: DataFrame) -> DataFrame:
        out = self.value("outputCol")
        if out is None:
            return dataset.drop(*[one.column for one in self.scores if not one.is_kept])
        return _assembled(dataset, self.selected, out)


def _assembled(dataset: DataFrame, columns: Sequence[str], out: str) -> DataFrame:
    """MLlib's vector of the columns; a missing number is NaN, as MLlib has it."""
    if not columns:
        return dataset.withColumn(out, array_to_vector(F.array().cast("array<double>")))
    return VectorAssembler(inputCols=list(columns), outputCol=out, handleInvalid="keep").transform(dataset)
