"""The last value known before, where one is missing now. Nothing is learned, so there is nothing to fit."""

from __future__ import annotations

from typing import Any

from pyspark import keyword_only
from pyspark.ml import Transformer
from pyspark.ml.param import TypeConverters
from pyspark.ml.util import DefaultParamsReadable, DefaultParamsWritable
from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from medlake.prepare.columns import Columns, known, named, param

MICROSECONDS = 3_600_000_000  # in an hour


class LastObservation(Transformer, Columns, DefaultParamsReadable[Any], DefaultParamsWritable):
    """Last observation carried forward: within keyCols (a person), no older than maxAgeHours. It never looks ahead.

    Of several values of one moment the largest is carried, so the order of rows decides nothing; a value of the same
    moment counts. Rows without a time neither give nor take. maxAgeHours unset: any age.

    Cost: one sort by key and time; a running maximum, so long series cost no more per row.

    >>> LastObservation(inputCols=["hb"], keyCols=["person_id"], timeCol="at", maxAgeHours=72)  # doctest: +SKIP
    """

    keyCols = param("keyCols", "columns that make a series, e.g. person and code", TypeConverters.toListString)
    timeCol = param("timeCol", "timestamp or date of a row", TypeConverters.toString)
    maxAgeHours = param("maxAgeHours", "oldest value that is carried, in hours", TypeConverters.toFloat)

    @keyword_only
    def __init__(
        self, *, inputCols: list[str] | None = None, outputCols: list[str] | None = None,
        keyCols: list[str] | None = None, timeCol: str | None = None, maxAgeHours: float | None = None,
    ) -> None:  # fmt: skip
        super().__init__()
        self._set(**self._given())

    def _transform(self, dataset: DataFrame) -> DataFrame:
        keys: list[str] = self.getOrDefault(self.keyCols)
        at = F.unix_micros(named(self.getOrDefault(self.timeCol)).cast("timestamp"))
        so_far = Window.partitionBy(*map(named, keys)).orderBy(at).rangeBetween(Window.unboundedPreceding, 0)
        outputs = {}
        for column, out in self.pairs():
            value = known(dataset, column)
            seen = F.max(F.when(value.isNotNull() & at.isNotNull(), F.struct(at.alias("at"), value.alias("value"))))
            last = seen.over(so_far)
            fresh = at.isNotNull()
            if self.isDefined(self.maxAgeHours):
                fresh = at - last["at"] <= round(self.getOrDefault(self.maxAgeHours) * MICROSECONDS)
            outputs[out] = F.coalesce(value, F.when(fresh, last["value"]))
        return dataset.withColumns(outputs)
