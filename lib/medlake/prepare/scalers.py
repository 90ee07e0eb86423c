"""Columns on a common scale: (x - shift) / scale, both learned; and logarithms. Fitting runs Spark jobs: one sum.

MLlib's scalers take vectors without missing values; these take columns and leave a missing value missing.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

from pyspark import keyword_only
from pyspark.ml import Estimator, Transformer
from pyspark.ml.param import TypeConverters
from pyspark.ml.util import DefaultParamsReadable, DefaultParamsWritable
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from medlake.prepare.columns import Columns, KeepsFacts, number, param, quantile

Figures = Sequence[float | None]


class _Scaler(Estimator["ScalerModel"], Columns, DefaultParamsReadable[Any], DefaultParamsWritable):
    """Asks one aggregation for some figures a column, and makes a shift and a scale of them."""

    @abstractmethod
    def _asked(self, value: Column) -> list[Column]: ...

    @abstractmethod
    def _shift_and_scale(self, *figures: Any) -> tuple[float, float]: ...

    def _bounds(self) -> list[float] | None:
        return None

    def _fit(self, dataset: DataFrame) -> ScalerModel:
        columns = self.inputs()
        asked = [self._asked(number(c)) for c in columns]
        told = list(dataset.agg(*[one for of_column in asked for one in of_column]).first() or [])
        n = len(asked[0])
        lines = []
        for i in range(len(columns)):
            figures = told[i * n : (i + 1) * n]
            lines.append([0.0, 1.0] if None in figures else list(self._shift_and_scale(*figures)))
        model = ScalerModel()
        model._kept = {"lines": lines, "bounds": self._bounds()}
        return self._copyValues(model)


class ScalerModel(KeepsFacts, Columns):
    """A shift and a scale for each column; a column without any value in the fit keeps its values. Lazy."""

    @property
    def lines(self) -> dict[str, tuple[float, float]]:
        """(shift, scale) of each column."""
        return {c: (shift, scale) for c, (shift, scale) in zip(self.inputs(), self._kept["lines"], strict=True)}

    def _transform(self, dataset: DataFrame) -> DataFrame:
        bounds = self._kept["bounds"]
        outputs = {}
        for (column, out), (shift, scale) in zip(self.pairs(), self._kept["lines"], strict=True):
            value = (number(column) - F.lit(shift)) / F.lit(scale)
            if bounds:
                value = F.when(value.isNotNull(), F.least(F.greatest(value, F.lit(bounds[0])), F.lit(bounds[1])))
            outputs[out] = value
        return dataset.withColumns(outputs)

    def inverse(self, dataset: DataFrame) -> DataFrame:
        """outputCols back in their own units, in place."""
        lines = zip([out for _, out in self.pairs()], self._kept["lines"], strict=True)
        return dataset.withColumns({out: number(out) * F.lit(scale) + F.lit(shift) for out, (shift, scale) in lines})


def _safe(scale: float) -> float:
    """A column without spread is only moved, as in scikit-learn."""
    return scale if scale > 0 and math.isfinite(scale) else 1.0


class StandardScaler(_Scaler):
    """(x - mean) / standard deviation, that of the population (divided by n) as in scikit-learn.

    >>> StandardScaler(inputCols=["age"], outputCols=["age_z"]).fit(train).transform(test)  # doctest: +SKIP
    """

    withMean = param("withMean", "subtract the mean", TypeConverters.toBoolean)
    withStd = param("withStd", "divide by the standard deviation", TypeConverters.toBoolean)

    @keyword_only
    def __init__(
        self, *, inputCols: list[str] | None = None, outputCols: list[str] | None = None, withMean: bool = True,
        withStd: bool = True,
    ) -> None:  # fmt: skip
        super().__init__()
        self._setDefault(withMean=True, withStd=True)
        self._set(**self._given())

    def _asked(self, value: Column) -> list[Column]:
        return [F.avg(value), F.stddev_pop(value)]

    def _shift_and_scale(self, *figures: Any) -> tuple[float, float]:
        mean, sd = figures
        shift = mean if self.getOrDefault(self.withMean) else 0.0
        return shift, _safe(sd) if self.getOrDefault(self.withStd) else 1.0


class MinMaxScaler(_Scaler):
    """The smallest value of the fit becomes `min`, the largest `max`; `clip`: no value goes beyond them.

    >>> MinMaxScaler(inputCols=["age"], clip=True).fit(train).transform(test)  # doctest: +SKIP
    """

    min = param("min", "what the smallest value becomes", TypeConverters.toFloat)
    max = param("max", "what the largest value becomes", TypeConverters.toFloat)
    clip = param("clip", "cut values that the fit has not seen", TypeConverters.toBoolean)

    @keyword_only
    def __init__(
        self, *, inputCols: list[str] | None = None, outputCols: list[str] | None = None, min: float = 0.0,
        max: float = 1.0, clip: bool = False,
    ) -> None:  # fmt: skip
        super().__init__()
        self._setDefault(min=0.0, max=1.0, clip=False)
        self._set(**self._given())

    def _asked(self, value: Column) -> list[Column]:
        return [F.min(value), F.max(value)]

    def _shift_and_scale(self, *figures: Any) -> tuple[float, float]:
        smallest, largest = figures
        low, high = self.getOrDefault(self.min), self.getOrDefault(self.max)
        if high <= low:
            raise ValueError("MinMaxScaler: max must be above min")
        scale = _safe(largest - smallest) / (high - low)
        return smallest - low * scale, scale

    def _bounds(self) -> list[float] | None:
        return [self.getOrDefault(self.min), self.getOrDefault(self.max)] if self.getOrDefault(self.clip) else None


class RobustScaler(_Scaler):
    """(x - median) / (upper - lower quantile): outliers move neither. Exact where relativeError is 0.

    >>> RobustScaler(inputCols=["crp"]).fit(train).transform(test)  # doctest: +SKIP
    """

    lower = param("lower", "lower quantile", TypeConverters.toFloat)
    upper = param("upper", "upper quantile", TypeConverters.toFloat)
    relativeError = param("relativeError", "of quantiles; 0: exact", TypeConverters.toFloat)

    @keyword_only
    def __init__(
        self, *, inputCols: list[str] | None = None, outputCols: list[str] | None = None, lower: float = 0.25,
        upper: float = 0.75, relativeError: float = 0.0,
    ) -> None:  # fmt: skip
        super().__init__()
        self._setDefault(lower=0.25, upper=0.75, relativeError=0.0)
        self._set(**self._given())

    def _asked(self, value: Column) -> list[Column]:
        shares = (self.getOrDefault(self.lower), 0.5, self.getOrDefault(self.upper))
        return [quantile(value, share, self.getOrDefault(self.relativeError)) for share in shares]

    def _shift_and_scale(self, *figures: Any) -> tuple[float, float]:
        low, middle, high = figures
        return middle, _safe(high - low)


class LogTransformer(Transformer, Columns, DefaultParamsReadable[Any], DefaultParamsWritable):
    """log(x + offset) to `base`; null where x + offset is not above 0. Nothing is learned.

    >>> LogTransformer(inputCols=["crp"], outputCols=["crp_log"], offset=1.0).transform(rows)  # doctest: +SKIP
    """

    offset = param("offset", "added before the logarithm", TypeConverters.toFloat)
    base = param("base", "base of the logarithm", TypeConverters.toFloat)

    @keyword_only
    def __init__(
        self, *, inputCols: list[str] | None = None, outputCols: list[str] | None = None, offset: float = 0.0,
        base: float = math.e,
    ) -> None:  # fmt: skip
        super().__init__()
        self._setDefault(offset=0.0, base=math.e)
        self._set(**self._given())

    def _transform(self, dataset: DataFrame) -> DataFrame:
        base = self.getOrDefault(self.base)
        outputs = {}
        for column, out in self.pairs():
            value = number(column) + F.lit(self.getOrDefault(self.offset))
            log = F.ln(value) if base == math.e else F.ln(value) / F.lit(math.log(base))
            outputs[out] = F.when(value > 0, log)
        return dataset.withColumns(outputs)
