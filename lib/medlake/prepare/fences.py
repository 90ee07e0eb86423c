"""Values too far from the others, column by column: flagged, and changed only when asked. Fitting runs Spark jobs.

Sources: robust z by Iglewicz and Hoaglin 1993 (0.6745 (x - median) / MAD); fences by Tukey 1977.
"""

from __future__ import annotations

from typing import Any

from pyspark import keyword_only
from pyspark.ml import Estimator
from pyspark.ml.param import TypeConverters
from pyspark.ml.util import DefaultParamsReadable, DefaultParamsWritable
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from medlake.prepare.columns import Columns, KeepsFacts, number, param, quantile

METHODS = ("range", "robust_z", "iqr")
ACTIONS = ("flag", "null", "clip")
THRESHOLD = {"range": 0.0, "robust_z": 3.5, "iqr": 1.5}
MAD_TO_SD = 0.6744897501960817  # MAD of a normal distribution of spread 1
ORIGINAL = "_original"
FENCE = ("low", "high", "inner_low", "inner_high", "unit")


class Flags(Columns):
    """Where to tell an outlier."""

    flagsCol = param("flagsCol", "array<string> that flags are added to; made when absent", TypeConverters.toString)

    def __init__(self) -> None:
        super().__init__()
        self._setDefault(flagsCol="qc")

    def with_flags(self, dataset: DataFrame, flags: list[Column]) -> DataFrame:
        """Adds names (null: none) to the column of flags; none of them twice."""
        name: str = self.getOrDefault(self.flagsCol)
        before = F.coalesce(F.col(name), F.array()) if name in dataset.columns else F.array()
        added = F.concat(before.cast("array<string>"), F.array_compact(F.array(*flags)))
        return dataset.withColumn(name, F.array_distinct(added))


class Changes(Flags):
    """What to do with an outlier beside telling it."""

    action = param("action", "flag: nothing; null, and clip or replace: change the value", TypeConverters.toString)

    def __init__(self) -> None:
        super().__init__()
        self._setDefault(action="flag")

    def with_changes(self, dataset: DataFrame, changed: dict[str, Column]) -> DataFrame:
        """Writes new values by output; the old one stays in `<output>_original`, that of the first change for ever."""
        if self.getOrDefault(self.action) == "flag":
            return dataset.withColumns({out: number(c) for c, out in self.pairs() if out != c})
        old = {out + ORIGINAL: number(c) for c, out in self.pairs() if out + ORIGINAL not in dataset.columns}
        return dataset.withColumns(old).withColumns(changed)


class _Params(Changes):
    method = param("method", ", ".join(METHODS), TypeConverters.toString)
    threshold = param("threshold", "robust_z: of |z|; iqr: quartile ranges beyond a quartile", TypeConverters.toFloat)
    ranges = param("ranges", "column: [lowest, highest] that a body can have; null: no limit")
    scoreCols = param("scoreCols", "columns to write scores to, one per input", TypeConverters.toListString)
    relativeError = param("relativeError", "of quantiles; 0: exact", TypeConverters.toFloat)

    def __init__(self) -> None:
        super().__init__()
        self._setDefault(method="robust_z", ranges={}, scoreCols=[], relativeError=0.0)


class Outliers(Estimator["OutliersModel"], _Params, DefaultParamsReadable[Any], DefaultParamsWritable):
    """Adds `outlier_<method>_<column>` to the flags of a row whose value lies outside the fences of the fit.

    method: `range` takes `ranges` and learns nothing; `robust_z` flags |z| > threshold (3.5), z by median and MAD;
    `iqr` flags what lies more than threshold (1.5) quartile ranges outside the quartiles. A column whose MAD or
    quartile range is 0 has no fence. scoreCols: z, or quartile ranges outside the quartiles (0 within), with sign.

    action: `flag` leaves the values; `null` and `clip` (to the fence) change the outputs and keep the value in
    `<output>_original`. Missing values are no outliers.

    Cost: one aggregation, two for robust_z; exact quantiles keep a column's distinct values in memory.

    Raises:
        ValueError: an unknown method or action, or `range` without a range for a column.

    >>> Outliers(inputCols=["hb"], method="iqr", action="null").fit(train).transform(test)  # doctest: +SKIP
    >>> Outliers(inputCols=["hb"], method="range", ranges={"hb": [20, 250]})  # doctest: +SKIP
    """

    @keyword_only
    def __init__(
        self, *, inputCols: list[str] | None = None, outputCols: list[str] | None = None, method: str = "robust_z",
        threshold: float | None = None, ranges: dict[str, list[float | None]] | None = None, action: str = "flag",
        flagsCol: str = "qc", scoreCols: list[str] | None = None, relativeError: float = 0.0,
    ) -> None:  # fmt: skip
        super().__init__()
        self._set(**self._given())

    def _fit(self, dataset: DataFrame) -> OutliersModel:
        method, columns = self.one_of("method", METHODS), self.inputs()
        self.one_of("action", ACTIONS)
        threshold = self.getOrDefault(self.threshold) if self.isDefined(self.threshold) else THRESHOLD[method]
        model = OutliersModel()
        fences = getattr(self, f"_{method}")(dataset, columns, threshold)
        model._kept = {"fences": [dict(zip(FENCE, f, strict=True)) for f in fences]}
        return self._copyValues(model)

    def _range(self, _: DataFrame, columns: list[str], __: float) -> list[tuple[float | None, ...]]:
        ranges: dict[str, list[float | None]] = self.getOrDefault(self.ranges)
        lacking = [c for c in columns if len(ranges.get(c, [])) != 2]
        if lacking:
            raise ValueError(f"Outliers: method range needs [lowest, highest] in ranges for {', '.join(lacking)}")
        return [(*ranges[c], None, None, None) for c in columns]

    def _robust_z(self, dataset: DataFrame, columns: list[str], threshold: float) -> list[tuple[float | None, ...]]:
        error = self.getOrDefault(self.relativeError)
        middles = list(dataset.agg(*[quantile(number(c), 0.5, error) for c in columns]).first() or [])
        away = [F.abs(number(c) - F.lit(m).cast("double")) for c, m in zip(columns, middles, strict=True)]
        spreads = [quantile(one, 0.5, error) for one in away]
        mads = list(dataset.agg(*spreads).first() or [])
        return [_fence(m, m, (mad or 0.0) / MAD_TO_SD, threshold) for m, mad in zip(middles, mads, strict=True)]

    def _iqr(self, dataset: DataFrame, columns: list[str], threshold: float) -> list[tuple[float | None, ...]]:
        error = self.getOrDefault(self.relativeError)
        told = list(dataset.agg(*[quantile(number(c), q, error) for c in columns for q in (0.25, 0.75)]).first() or [])
        quartiles = zip(told[::2], told[1::2], strict=True)
        return [_fence(low, high, 0.0 if low is None else high - low, threshold) for low, high in quartiles]


def _fence(low: float | None, high: float | None, unit: float, threshold: float) -> tuple[float | None, ...]:
    """(lowest, highest, where scores begin below, above, unit of scores)."""
    if low is None or high is None or unit <= 0:
        return (None,) * 5
    return (low - threshold * unit, high + threshold * unit, low, high, unit)


class OutliersModel(KeepsFacts, _Params):
    """The fences. Lazy."""

    @property
    def fences(self) -> dict[str, tuple[float | None, float | None]]:
        """(lowest, highest) value of each column that is no outlier."""
        kept = self._kept["fences"]
        return {c: (f["low"], f["high"]) for c, f in zip(self.inputs(), kept, strict=True)}

    def _transform(self, dataset: DataFrame) -> DataFrame:
        method, action = self.getOrDefault(self.method), self.getOrDefault(self.action)
        scores: list[str] = self.getOrDefault(self.scoreCols)
        flags, changed, told = [], {}, {}
        for i, ((column, out), fence) in enumerate(zip(self.pairs(), self._kept["fences"], strict=True)):
            value = number(column)
            low, high = (F.lit(fence[side]).cast("double") for side in ("low", "high"))
            outside = F.coalesce((value < low) | (value > high), F.lit(False))  # no limit: null or true is true
            flags.append(F.when(outside, F.lit(f"outlier_{method}_{column}")))
            if scores:
                told[scores[i]] = _score(value, fence)
            changed[out] = F.when(~outside, value) if action == "null" else _clipped(value, low, high)
        return self.with_changes(self.with_flags(dataset, flags).withColumns(told), changed)


def _clipped(value: Column, low: Column, high: Column) -> Column:
    """least and greatest pass over nulls; a missing value must stay missing."""
    return F.when(value.isNotNull(), F.least(F.greatest(value, low), high))


def _score(value: Column, fence: dict[str, float | None]) -> Column:
    if not fence["unit"]:
        return F.lit(None).cast("double")
    low, high, unit = (F.lit(fence[name]).cast("double") for name in ("inner_low", "inner_high", "unit"))
    outside = F.when(value < low, (value - low) / unit).when(value > high, (value - high) / unit)
    return outside.when(value.isNotNull(), 0.0)
