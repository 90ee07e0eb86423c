"""Outliers and noise in series of one person and code, by time: Hampel's filter and the moving median, unfitted.

Source: Hampel 1974; Pearson 2002 (a value more than 3 scaled MADs from the median of its window is replaced by it).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pyspark import keyword_only
from pyspark.ml import Transformer
from pyspark.ml.param import Params, TypeConverters
from pyspark.ml.util import DefaultParamsReadable, DefaultParamsWritable
from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from medlake.prepare.carried import MICROSECONDS
from medlake.prepare.columns import Columns, named, number, param
from medlake.prepare.fences import MAD_TO_SD, Changes

ACTIONS = ("flag", "null", "replace")


class _Series(Params):
    keyCols = param("keyCols", "columns that make a series, e.g. person and code", TypeConverters.toListString)
    timeCol = param("timeCol", "timestamp or date of a row", TypeConverters.toString)
    orderCols = param("orderCols", "what orders rows of one moment", TypeConverters.toListString)
    rows = param("rows", "rows before and after that belong to a window", TypeConverters.toInt)
    hours = param("hours", "hours before and after that belong to a window, instead of rows", TypeConverters.toFloat)
    causal = param("causal", "only rows before, never after", TypeConverters.toBoolean)

    def __init__(self) -> None:
        super().__init__()
        self._setDefault(orderCols=[], rows=3, causal=False)

    def window(self, column: str) -> Column:
        """The values in the window of a row, in rising order: array<double>, its own among them."""
        keys = [named(k) for k in self.getOrDefault(self.keyCols)]
        at = F.unix_micros(named(self.getOrDefault(self.timeCol)).cast("timestamp"))
        causal: bool = self.getOrDefault(self.causal)
        ties = [named(c) for c in self.getOrDefault(self.orderCols)]
        if self.isDefined(self.hours):
            reach = round(self.getOrDefault(self.hours) * MICROSECONDS)
            frame = Window.partitionBy(*keys).orderBy(at).rangeBetween(-reach, 0 if causal else reach)
        else:
            n = self.getOrDefault(self.rows)
            ordered = Window.partitionBy(*keys).orderBy(at, *ties, number(column))
            frame = ordered.rowsBetween(-n, 0 if causal else n)
        return F.array_sort(F.collect_list(number(column)).over(frame))


def _away_from(middle: Column) -> Callable[[Column], Column]:
    return lambda one: F.abs(one - middle)


def _median(ordered: Column) -> Column:
    n = F.size(ordered)
    middle = F.get(ordered, F.floor((n - 1) / 2).cast("int")) + F.get(ordered, F.floor(n / 2).cast("int"))
    return middle / 2


class MovingMedian(Transformer, Columns, _Series, DefaultParamsReadable[Any], DefaultParamsWritable):
    """The median of the window around each row (by `rows` or `hours`; `causal`: up to it), in outputCols.

    Windows are cut at the ends of a series. Missing values count for nothing and stay missing. Rows of one moment:
    by orderCols, then by value. Cost: one sort by series and time, and a sort of each window.

    >>> MovingMedian(inputCols=["pulse"], keyCols=["person_id"], timeCol="at", hours=2)  # doctest: +SKIP
    """

    @keyword_only
    def __init__(
        self, *, inputCols: list[str] | None = None, outputCols: list[str] | None = None,
        keyCols: list[str] | None = None, timeCol: str | None = None, orderCols: list[str] | None = None,
        rows: int = 3, hours: float | None = None, causal: bool = False,
    ) -> None:  # fmt: skip
        super().__init__()
        self._set(**self._given())

    def _transform(self, dataset: DataFrame) -> DataFrame:
        smooth = {out: F.when(number(c).isNotNull(), _median(self.window(c))) for c, out in self.pairs()}
        return dataset.withColumns(smooth)


class HampelFilter(Transformer, Changes, _Series, DefaultParamsReadable[Any], DefaultParamsWritable):
    """Adds `outlier_hampel_<column>` where a value is more than threshold · 1.4826 · MAD from its window's median.

    Windows as for MovingMedian. minScale is the least that 1.4826 · MAD counts as, in the column's unit: with 0 any
    departure from a flat window is flagged. action: `flag` leaves values; `null` and `replace` (by the median)
    change the outputs and keep the value in `<output>_original`.

    >>> HampelFilter(inputCols=["pulse"], keyCols=["person_id", "code"], timeCol="at", rows=5)  # doctest: +SKIP
    """

    threshold = param("threshold", "scaled MADs from the median", TypeConverters.toFloat)
    minScale = param("minScale", "least scaled MAD, in the unit of the column", TypeConverters.toFloat)

    @keyword_only
    def __init__(
        self, *, inputCols: list[str] | None = None, outputCols: list[str] | None = None,
        keyCols: list[str] | None = None, timeCol: str | None = None, orderCols: list[str] | None = None,
        rows: int = 3, hours: float | None = None, causal: bool = False, threshold: float = 3.0,
        minScale: float = 0.0, action: str = "flag", flagsCol: str = "qc",
    ) -> None:  # fmt: skip
        super().__init__()
        self._setDefault(threshold=3.0, minScale=0.0)
        self._set(**self._given())

    def _transform(self, dataset: DataFrame) -> DataFrame:
        action, threshold = self.one_of("action", ACTIONS), self.getOrDefault(self.threshold)
        inner = {}
        for i, (column, _) in enumerate(self.pairs()):
            inner[f"_window_{i}"] = self.window(column)
        ready = dataset.withColumns(inner)
        flags, changed = [], {}
        for i, (column, out) in enumerate(self.pairs()):
            value, window, middle = number(column), F.col(f"_window_{i}"), F.col(f"_middle_{i}")
            ready = ready.withColumn(f"_middle_{i}", _median(window))
            away = F.array_sort(F.transform(window, _away_from(middle)))
            ready = ready.withColumn(f"_window_{i}", away)
            scale = F.greatest(_median(window) / MAD_TO_SD, F.lit(self.getOrDefault(self.minScale)))
            outside = F.coalesce(F.abs(value - middle) > threshold * scale, F.lit(False))
            flags.append(F.when(outside, F.lit(f"outlier_hampel_{column}")))
            changed[out] = F.when(outside, middle if action == "replace" else F.lit(None)).otherwise(value)
        done = self.with_changes(self.with_flags(ready, flags), changed)
        return done.drop(*[f"{name}_{i}" for i in range(len(flags)) for name in ("_window", "_middle")])
