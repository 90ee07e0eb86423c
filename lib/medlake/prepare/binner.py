"""Numbers as bins: of equal width, of equal counts, or between edges given. Fitting runs Spark jobs: one sum."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from pyspark import keyword_only
from pyspark.ml import Estimator
from pyspark.ml.param import TypeConverters
from pyspark.ml.util import DefaultParamsReadable, DefaultParamsWritable
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from medlake.prepare.columns import Columns, KeepsFacts, number, param, quantile

STRATEGIES = ("uniform", "quantile", "edges")


class _Params(Columns):
    strategy = param("strategy", ", ".join(STRATEGIES), TypeConverters.toString)
    nBins = param("nBins", "bins of uniform and quantile", TypeConverters.toInt)
    edges = param("edges", "column: edges between its bins, rising; n edges make n + 1 bins")
    relativeError = param("relativeError", "of quantiles; 0: exact", TypeConverters.toFloat)

    def __init__(self) -> None:
        super().__init__()
        self._setDefault(strategy="quantile", nBins=5, edges={}, relativeError=0.0)


class Binner(Estimator["BinnerModel"], _Params, DefaultParamsReadable[Any], DefaultParamsWritable):
    """The number of the bin of each value, as double from 0; missing values stay missing.

    A value at an edge belongs to the bin above it; values outside those of the fit belong to the first or last bin.
    Quantiles that coincide make one edge, so a column may have fewer bins. MLlib's Bucketizer wants edges and no
    missing values, its QuantileDiscretizer has approximate quantiles.

    >>> Binner(inputCols=["age"], strategy="edges", edges={"age": [18, 40, 65]}).fit(rows)  # doctest: +SKIP
    """

    @keyword_only
    def __init__(
        self, *, inputCols: list[str] | None = None, outputCols: list[str] | None = None, strategy: str = "quantile",
        nBins: int = 5, edges: dict[str, list[float]] | None = None, relativeError: float = 0.0,
    ) -> None:  # fmt: skip
        super().__init__()
        self._set(**self._given())

    def _fit(self, dataset: DataFrame) -> BinnerModel:
        model = BinnerModel()
        model._kept = {
            "edges": self._edges(dataset, self.one_of("strategy", STRATEGIES), self.getOrDefault(self.nBins))
        }
        return self._copyValues(model)

    def _edges(self, dataset: DataFrame, strategy: str, n: int) -> list[list[float]]:
        columns = self.inputs()
        if strategy == "edges":
            given: dict[str, list[float]] = self.getOrDefault(self.edges)
            wrong = [c for c in columns if not given.get(c) or sorted(set(given[c])) != list(given[c])]
            if wrong:
                raise ValueError(f"Binner: give rising edges for {', '.join(wrong)}")
            return [[float(e) for e in given[c]] for c in columns]
        if n < 2:
            raise ValueError("Binner: nBins must be at least 2")
        if strategy == "uniform":
            told = list(dataset.agg(*[f(number(c)) for c in columns for f in (F.min, F.max)]).first() or [])
            ends = list(zip(told[::2], told[1::2], strict=True))
            return [_distinct([] if low is None else np.linspace(low, high, n + 1).tolist()) for low, high in ends]
        shares = np.linspace(0, 1, n + 1).tolist()
        error = self.getOrDefault(self.relativeError)
        found = list(dataset.agg(*[quantile(number(c), s, error) for c in columns for s in shares]).first() or [])
        return [_distinct(found[i * (n + 1) : (i + 1) * (n + 1)]) for i in range(len(columns))]


def _distinct(edges: list[float]) -> list[float]:
    """The inner edges; edges that are one within 1e-8 make one, as in scikit-learn."""
    kept: list[float] = []
    for edge in edges:
        if edge is not None and (not kept or edge - kept[-1] > 1e-8):
            kept.append(edge)
    return kept[1:-1]


class BinnerModel(KeepsFacts, _Params):
    """The edges between the bins. Lazy."""

    @property
    def binEdges(self) -> dict[str, list[float]]:
        """The edges between the bins of each column."""
        return dict(zip(self.inputs(), self._kept["edges"], strict=True))

    def _transform(self, dataset: DataFrame) -> DataFrame:
        outputs = {}
        for (column, out), edges in zip(self.pairs(), self._kept["edges"], strict=True):
            value = number(column)
            above = F.size(F.filter(F.array(*[F.lit(e) for e in edges]).cast("array<double>"), _at_most(value)))
            outputs[out] = F.when(value.isNotNull(), above.cast("double"))
        return dataset.withColumns(outputs)


def _at_most(value: Column) -> Callable[[Column], Column]:
    return lambda edge: edge <= value
