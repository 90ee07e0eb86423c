"""Missing values by a rule per column: drop the row, a constant, mean, median or mode, overall or by group.

Fitting runs Spark jobs: one for the overall values, one more for the groups, whose values stay a table.
"""

from __future__ import annotations

from functools import reduce
from typing import Any

from pyspark import keyword_only
from pyspark.ml import Estimator
from pyspark.ml.param import TypeConverters
from pyspark.ml.util import DefaultParamsReadable, DefaultParamsWritable
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from medlake.prepare.columns import Columns, HasGroupCols, KeepsFacts, is_number, known, named, param, quantile

STRATEGIES = ("ignore", "drop", "constant", "mean", "median", "mode")
LEARNED = ("mean", "median", "mode")


class _Params(Columns, HasGroupCols):
    strategy = param("strategy", ", ".join(STRATEGIES), TypeConverters.toString)
    fillValue = param("fillValue", "what `constant` writes, cast to the type of the column")
    relativeError = param("relativeError", "of the median; 0: exact", TypeConverters.toFloat)

    def __init__(self) -> None:
        super().__init__()
        self._setDefault(strategy="mean", groupCols=[], relativeError=0.0)


class Imputer(Estimator["ImputerModel"], _Params, DefaultParamsReadable[Any], DefaultParamsWritable):
    """One of the seed's three ways for each of inputCols: delete (`drop`), fill, or `ignore`.

    strategy: `mean` and `median` for numbers, the output is double; `mode` for anything, ties go to the smallest
    value; `constant` writes fillValue. groupCols: each group has a value of its own; a group without any value, or
    one that the fit has not seen, takes the overall one. A column without any value stays as it is.

    Cost: one aggregation, two with groups. The exact median keeps a column's distinct values in memory.

    Raises:
        ValueError: an unknown strategy, no fillValue for `constant`, a mean or median of a column without numbers.

    >>> Imputer(inputCols=["hb"], strategy="median", groupCols=["sex"]).fit(train).transform(test)  # doctest: +SKIP
    """

    @keyword_only
    def __init__(
        self, *, inputCols: list[str] | None = None, outputCols: list[str] | None = None, strategy: str = "mean",
        groupCols: list[str] | None = None, fillValue: float | str | None = None, relativeError: float = 0.0,
    ) -> None:  # fmt: skip
        super().__init__()
        self._set(**self._given())

    def _fit(self, dataset: DataFrame) -> ImputerModel:
        strategy, columns = self.one_of("strategy", STRATEGIES), self.inputs()
        if strategy == "constant" and not self.isDefined(self.fillValue):
            raise ValueError("Imputer: strategy constant needs a fillValue")
        words = [c for c in columns if not is_number(dataset, c)]
        if strategy in ("mean", "median") and words:
            raise ValueError(f"Imputer: {', '.join(words)} hold no numbers; take strategy mode or constant")
        model = ImputerModel()
        if strategy in LEARNED:
            told = [self._told(known(dataset, c)).alias(f"_fill_{i}") for i, c in enumerate(columns)]
            overall = dataset.agg(*told).first()
            model._kept = {"values": list(overall or [])}
            groups: list[str] = self.getOrDefault(self.groupCols)
            if groups:
                keys = [named(g).alias(f"_group_{i}") for i, g in enumerate(groups)]
                model._kept_tables = {"groups": dataset.groupBy(*keys).agg(*told).localCheckpoint()}
        return self._copyValues(model)

    def _told(self, value: Column) -> Column:
        strategy = self.getOrDefault(self.strategy)
        if strategy == "mean":
            return F.avg(value)
        if strategy == "median":
            return quantile(value, 0.5, self.getOrDefault(self.relativeError))
        return F.mode(value, deterministic=True)


class ImputerModel(KeepsFacts, _Params):
    """The values to write. Lazy; the rows of other people than those of the fit change nothing."""

    @property
    def values(self) -> dict[str, Any]:
        """The overall value of each column."""
        return dict(zip(self.inputs(), self._kept.get("values", []), strict=False))

    def _transform(self, dataset: DataFrame) -> DataFrame:
        strategy, pairs = self.getOrDefault(self.strategy), self.pairs()
        if strategy == "drop":
            there = [known(dataset, c).isNotNull() for c, _ in pairs]
            kept = dataset.where(reduce(lambda a, b: a & b, there))
            return kept.withColumns({out: known(dataset, c) for c, out in pairs if out != c})
        if strategy == "ignore":
            return dataset.withColumns({out: named(c) for c, out in pairs if out != c})
        groups = self._kept_tables.get("groups")
        outputs = {}
        for i, (column, out) in enumerate(pairs):
            value = known(dataset, column)
            if strategy in ("mean", "median"):
                value = value.cast("double")
            kind = dataset.schema[column].dataType if strategy in ("mode", "constant") else "double"
            fill = [] if groups is None else [F.col(f"_fill_{i}")]
            overall = self.getOrDefault(self.fillValue) if strategy == "constant" else self._kept["values"][i]
            outputs[out] = F.coalesce(value, *[f.cast(kind) for f in [*fill, F.lit(overall)]])
        if groups is None:
            return dataset.withColumns(outputs)
        names: list[str] = self.getOrDefault(self.groupCols)
        alike = [named(g).eqNullSafe(F.col(f"_group_{i}")) for i, g in enumerate(names)]
        extra = [*[f"_group_{i}" for i in range(len(names))], *[f"_fill_{i}" for i in range(len(pairs))]]
        return dataset.join(groups, on=alike, how="left").withColumns(outputs).drop(*extra)
