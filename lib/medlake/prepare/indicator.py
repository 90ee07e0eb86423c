"""Columns that say whether a value was missing. Fitting runs Spark jobs: one aggregation."""

from __future__ import annotations

from typing import Any

from pyspark import keyword_only
from pyspark.ml import Estimator
from pyspark.ml.param import TypeConverters
from pyspark.ml.util import DefaultParamsReadable, DefaultParamsWritable
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from medlake.prepare.columns import Columns, KeepsFacts, known, param

FEATURES = ("missing-only", "all")
SUFFIX = "_missing"


class _Params(Columns):
    features = param("features", "missing-only: columns that miss a value in the fit; all", TypeConverters.toString)

    def __init__(self) -> None:
        super().__init__()
        self._setDefault(features="missing-only")

    def pairs(self) -> list[tuple[str, str]]:
        """(input, output); an output is the input with `_missing` behind it where none is named."""
        return [(c, out if out != c else c + SUFFIX) for c, out in super().pairs()]


class MissingIndicator(Estimator["MissingIndicatorModel"], _Params, DefaultParamsReadable[Any], DefaultParamsWritable):
    """1.0 where a value is missing, else 0.0, in `<column>_missing`: put it before an imputer.

    features: `missing-only` writes columns that miss a value among the rows of the fit, `all` writes every one.

    >>> MissingIndicator(inputCols=["hb", "crp"]).fit(train).transform(test)  # doctest: +SKIP
    """

    @keyword_only
    def __init__(
        self, *, inputCols: list[str] | None = None, outputCols: list[str] | None = None,
        features: str = "missing-only",
    ) -> None:  # fmt: skip
        super().__init__()
        self._set(**self._given())

    def _fit(self, dataset: DataFrame) -> MissingIndicatorModel:
        columns = self.inputs()
        told = list(columns)
        if self.one_of("features", FEATURES) == "missing-only":
            counts = dataset.agg(*[F.count_if(known(dataset, c).isNull()) for c in columns]).first()
            told = [c for c, n in zip(columns, counts or [], strict=True) if n]
        model = MissingIndicatorModel()
        model._kept = {"told": told}
        return self._copyValues(model)


class MissingIndicatorModel(KeepsFacts, _Params):
    """Which columns have an indicator."""

    @property
    def names(self) -> list[str]:
        """The columns that transform adds."""
        return [out for c, out in self.pairs() if c in self._kept["told"]]

    def _transform(self, dataset: DataFrame) -> DataFrame:
        told = [(c, out) for c, out in self.pairs() if c in self._kept["told"]]
        return dataset.withColumns({out: known(dataset, c).isNull().cast("double") for c, out in told})
