"""Numbers, categories and codes as one vector, so that Euclidean methods can group them. Fitting runs Spark jobs.

What is done (FAMD, Pagès 2004): a number becomes its z-score, nothing where it is missing; a level of a category
becomes (is it this level - p) / √p, p being its share, as multiple correspondence analysis weighs it; a set of codes
gives one such column per code. So a rare level weighs more, and each category about its number of levels - 1. For
few dimensions put MLlib's PCA behind it. Gower's distance is the other way; it is no Euclidean distance and has no
means, so K-means and BIRCH cannot use it.
"""

from __future__ import annotations

import math
from typing import Any

from pyspark import keyword_only
from pyspark.ml import Estimator, Model
from pyspark.ml.param import Param, Params, TypeConverters
from pyspark.ml.param.shared import HasOutputCol
from pyspark.ml.util import DefaultParamsReadable, DefaultParamsWritable
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from medlake.ml.persistence import KeepsTables

MAX_LEVELS = 100  # levels of one category, codes of one set: the most frequent, ties by name


class _Params(HasOutputCol):
    numberCols: Param[Any] = Param(
        Params._dummy(), "numberCols", "columns with numbers", TypeConverters.toListString
    )
    categoryCols: Param[Any] = Param(
        Params._dummy(), "categoryCols", "string columns with one level each", TypeConverters.toListString
    )
    codeCols: Param[Any] = Param(
        Params._dummy(), "codeCols", "array<string> columns with a set of codes", TypeConverters.toListString
    )
    maxLevels: Param[int] = Param(Params._dummy(), "maxLevels", "most levels of a column", TypeConverters.toInt)

    def __init__(self) -> None:
        super().__init__()
        self._setDefault(numberCols=[], categoryCols=[], codeCols=[], maxLevels=MAX_LEVELS, outputCol="features")


class MixedEncoder(Estimator["MixedEncoderModel"], _Params, DefaultParamsReadable[Any], DefaultParamsWritable):
    """Numbers, categories and code sets → outputCol array<double>, ready for KMeans, Birch and DBSCAN.

    A missing category is a level of its own; levels that were not kept or not seen in fitting have only zeros minus
    their shares. One pass over the rows; the driver sees means and at most maxLevels levels a column.

    Raises:
        ValueError: no column is named, or there are no rows.

    >>> MixedEncoder(numberCols=["age"], categoryCols=["sex"], codeCols=["items"]).fit(people)  # doctest: +SKIP
    """

    @keyword_only
    def __init__(
        self, *, numberCols: list[str] | None = None, categoryCols: list[str] | None = None,
        codeCols: list[str] | None = None, maxLevels: int = MAX_LEVELS, outputCol: str = "features",
    ) -> None:  # fmt: skip
        super().__init__()
        given = {name: value for name, value in self._input_kwargs.items() if value is not None}  # type: ignore[attr-defined]
        self._set(**given)

    def _fit(self, dataset: DataFrame) -> MixedEncoderModel:
        numbers, categories, codes = (self.getOrDefault(n) for n in ("numberCols", "categoryCols", "codeCols"))
        if not numbers and not categories and not codes:
            raise ValueError("name the columns to encode: numberCols, categoryCols or codeCols")
        figures = [f(_number(c)) for c in numbers for f in (F.avg, F.stddev_pop)]
        told = dataset.agg(F.count(F.lit(1)), *figures).first()
        if told is None or not told[0]:
            raise ValueError("there are no rows to fit")
        scales = [[told[1 + 2 * i] or 0.0, told[2 + 2 * i] or 0.0] for i in range(len(numbers))]
        levels = {
            **{c: self._levels(dataset.select(_level(c).alias("level")), told[0]) for c in categories},
            **{c: self._levels(dataset.select(F.explode(F.array_distinct(c)).alias("level")), told[0]) for c in codes},
        }
        model = MixedEncoderModel()
        model._restore({"scales": scales, "levels": levels}, {})
        return self._copyValues(model)

    def _levels(self, seen: DataFrame, n: int) -> list[list[Any]]:
        """[level, share] of the most frequent levels."""
        counts = seen.where(F.col("level").isNotNull()).groupBy("level").agg(F.count(F.lit(1)).alias("n"))
        most = counts.orderBy(F.desc("n"), "level").limit(self.getOrDefault(self.maxLevels))
        return [[r["level"], r["n"] / n] for r in most.collect()]


class MixedEncoderModel(Model, _Params, KeepsTables):
    """Means, spreads and shares of the fit. Lazy; no Python touches a row."""

    def __init__(self) -> None:
        super().__init__()
        self._scales: list[list[float]] = []
        self._shares: dict[str, list[list[Any]]] = {}

    @property
    def names(self) -> list[str]:
        """What each entry of the vector is."""
        levels = [f"{column}={level}" for column, kept in self._shares.items() for level, _ in kept]
        numbers: list[str] = self.getOrDefault(self.numberCols)
        return [*numbers, *levels]

    def _transform(self, dataset: DataFrame) -> DataFrame:
        numbers: list[str] = self.getOrDefault(self.numberCols)
        codes: list[str] = self.getOrDefault(self.codeCols)
        parts = [_score(c, mean, sd) for c, (mean, sd) in zip(numbers, self._scales, strict=True)]
        for column, levels in self._shares.items():
            for level, share in levels:
                has = F.array_contains(column, level) if column in codes else _level(column) == level
                parts.append((F.coalesce(has, F.lit(False)).cast("double") - share) / math.sqrt(share))
        return dataset.withColumn(self.getOrDefault(self.outputCol), F.array(*parts))

    def _facts(self) -> dict[str, Any]:
        return {"scales": self._scales, "levels": self._shares}

    def _tables(self) -> dict[str, DataFrame]:
        return {}

    def _restore(self, facts: dict[str, Any], tables: dict[str, DataFrame]) -> None:
        self._scales, self._shares = facts["scales"], facts["levels"]


def _level(column: str) -> Column:
    return F.coalesce(F.col(column).cast("string"), F.lit("(missing)"))


def _score(column: str, mean: float, sd: float) -> Column:
    return F.coalesce((_number(column) - mean) / sd, F.lit(0.0)) if sd else F.lit(0.0)


def _number(column: str) -> Column:
    """The value; null where it is missing or not finite."""
    value = F.col(column).cast("double")
    return F.when(~F.isnan(value) & (F.abs(value) < float("inf")), value)
