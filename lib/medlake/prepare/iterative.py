"""Missing values by rounds of linear regressions (MICE-like). Fitting runs Spark jobs: sums, one a column and round."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import reduce
from operator import add
from typing import Any

import numpy as np
import pyarrow as pa
from pyspark import keyword_only
from pyspark.ml import Estimator
from pyspark.ml.param import TypeConverters
from pyspark.ml.param.shared import HasMaxIter, HasSeed, HasTol
from pyspark.ml.util import DefaultParamsReadable, DefaultParamsWritable
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from medlake.ml.blocks import Floats, batch_of, from_bytes, pieces, to_bytes
from medlake.prepare.columns import Columns, KeepsFacts, filled_in, matrix, number, param, quantile, row_wise, vector
from medlake.prepare.regressions import Limits, Step, Sums, chained, regression

ESTIMATORS = ("linear", "bayesian")
STARTS = ("mean", "median")
BLOCK = "points binary, filled binary, change double"
SUMS = "n double, total binary, products binary"


class _Params(Columns, HasMaxIter, HasTol, HasSeed):
    estimator = param("estimator", "linear, bayesian: the regression of each column", TypeConverters.toString)
    initialStrategy = param("initialStrategy", "mean, median: before the first round", TypeConverters.toString)
    minValues = param("minValues", "smallest value given to each column; none: no limit", TypeConverters.toListFloat)
    maxValues = param("maxValues", "largest value given to each column; none: no limit", TypeConverters.toListFloat)
    samplePosterior = param("samplePosterior", "draw values instead of predicting them", TypeConverters.toBoolean)

    def __init__(self) -> None:
        super().__init__()
        self._setDefault(
            estimator="bayesian", initialStrategy="mean", minValues=[], maxValues=[], samplePosterior=False,
            maxIter=10, tol=1e-3, seed=0,
        )  # fmt: skip

    def limits(self, used: Sequence[int]) -> Limits:
        """Of the used columns."""
        n = len(self.inputs())
        low: list[float] = self.getOrDefault(self.minValues) or [-np.inf] * n
        high: list[float] = self.getOrDefault(self.maxValues) or [np.inf] * n
        if len(low) != n or len(high) != n or any(a >= b for a, b in zip(low, high, strict=True)):
            raise ValueError(f"IterativeImputer: give {n} minValues and maxValues, each minimum below its maximum")
        seed = self.getOrDefault(self.seed) if self.getOrDefault(self.samplePosterior) else None
        return Limits(np.array(low)[list(used)], np.array(high)[list(used)], seed)


class IterativeImputer(Estimator["IterativeImputerModel"], _Params, DefaultParamsReadable[Any], DefaultParamsWritable):
    """Each column with missing values is predicted from all others, round after round, until nothing moves.

    The same as scikit-learn's IterativeImputer with LinearRegression or BayesianRidge: columns with fewest missing
    values first, ties by their order; it ends when no value of a round moved by more than tol × the largest absolute
    value, or after maxIter rounds. samplePosterior draws from the predicted distribution with a seed (for multiple
    imputation take several seeds); it then makes maxIter rounds. transform applies the same chain to any rows,
    without looking at them. A column without any value stays missing. Outputs are double.

    Cost: one aggregation of columns² numbers a column with missing values and round; complete columns share one. The
    driver sees sums, one row a partition.

    >>> IterativeImputer(inputCols=["age", "hb", "crp"], maxIter=10).fit(train).transform(test)  # doctest: +SKIP
    """

    @keyword_only
    def __init__(
        self, *, inputCols: list[str] | None = None, outputCols: list[str] | None = None, estimator: str = "bayesian",
        initialStrategy: str = "mean", maxIter: int = 10, tol: float = 1e-3, minValues: list[float] | None = None,
        maxValues: list[float] | None = None, samplePosterior: bool = False, seed: int = 0,
    ) -> None:  # fmt: skip
        super().__init__()
        self._set(**self._given())

    def _fit(self, dataset: DataFrame) -> IterativeImputerModel:
        columns = self.inputs()
        self.one_of("estimator", ESTIMATORS)
        by_median = self.one_of("initialStrategy", STARTS) == "median"
        told = [
            f
            for c in map(number, columns)
            for f in (F.count_if(c.isNull()), quantile(c, 0.5, 0.0) if by_median else F.avg(c), F.max(F.abs(c)))
        ]
        found = list(dataset.agg(*told).first() or [])
        used = [i for i in range(len(columns)) if found[3 * i + 1] is not None]
        model = IterativeImputerModel()
        start = np.array([found[3 * i + 1] for i in used], dtype=np.float64)
        n_missing = [int(found[3 * i]) for i in used]
        limit = self.getOrDefault(self.tol) * max((found[3 * i + 2] for i in used), default=0.0)
        rounds: list[list[Step]] = []
        limits = self.limits(used)
        if len(used) > 1 and any(n_missing):
            fit = _Fit(start, limits, n_missing, self.getOrDefault(self.estimator) == "bayesian")
            points = dataset.select(vector([columns[i] for i in used]))
            rounds = fit.rounds(points, self.getOrDefault(self.maxIter), limit)
        model._kept = {"used": used, "start": start.tolist(), "rounds": [[s.as_json() for s in r] for r in rounds]}
        return self._copyValues(model)


class _Fit:
    """One fit: where it starts, what it may write, in which order it takes the columns."""

    def __init__(self, start: Floats, limits: Limits, n_missing: Sequence[int], bayesian: bool) -> None:
        self.start, self.limits, self.bayesian = start, limits, bayesian
        self.order = [int(j) for j in np.argsort(n_missing, kind="stable")]
        self.complete = [j for j in self.order if not n_missing[j]]
        self.wanting = [j for j in self.order if n_missing[j]]

    def rounds(self, points: DataFrame, max_iter: int, limit: float) -> list[list[Step]]:
        """The regressions of each round."""
        begun = points.mapInArrow(_begun(self.start), BLOCK).localCheckpoint()
        rounds: list[list[Step]] = []
        for _ in range(max_iter):
            first = sum(map(len, rounds))
            steps: list[Step] = []
            if self.complete:
                sums = _summed(begun, self.start, self.limits, [], first, None)
                steps = [self._regression(sums, j) for j in self.complete]
            for j in self.wanting:
                steps.append(self._regression(_summed(begun, self.start, self.limits, steps, first, j), j))
            rounds.append(steps)
            begun = begun.mapInArrow(_ended(self.start, self.limits, steps, first), BLOCK).localCheckpoint()
            moved = begun.agg(F.max("change")).first()
            if self.limits.seed is None and (moved is None or (moved[0] or 0.0) < limit):
                break
        return rounds

    def _regression(self, sums: Sums, target: int) -> Step:
        keeps = self.limits.seed is not None
        return regression(sums, self.start, target, bayesian=self.bayesian, keeps_spread=keeps)


def _begun(start: Floats) -> Any:
    width = len(start)

    def begin(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            points = matrix(batch.column(0), width)
            filled = np.where(np.isfinite(points), points, start)
            yield batch_of(BLOCK, [(to_bytes(points[s]), to_bytes(filled[s]), 0.0) for s in pieces(len(points))])

    return begin


def _ended(start: Floats, limits: Limits, steps: Sequence[Step], first: int) -> Any:
    """Blocks after a round; `change` is the largest move of a value in it."""
    width = len(start)

    def end(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            rows = []
            for points, before in _blocks(batch, width):
                after = chained(points, before, steps, limits, first=first)
                rows.append((to_bytes(points), to_bytes(after), float(np.abs(after - before).max(initial=0.0))))
            yield batch_of(BLOCK, rows)

    return end


def _blocks(batch: pa.RecordBatch, width: int) -> Iterator[tuple[Floats, Floats]]:
    for points, filled in zip(batch.column(0), batch.column(1), strict=True):
        yield from_bytes([points.as_py()], width), from_bytes([filled.as_py()], width)


def _summed(
    blocks: DataFrame, start: Floats, limits: Limits, steps: Sequence[Step], first: int, target: int | None
) -> Sums:
    """Sums over the rows that have the target (None: over all), after the steps so far."""
    width = len(start)

    def add_up(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        total = Sums.of(np.empty((0, width)))
        for batch in batches:
            for points, filled in _blocks(batch, width):
                kept = slice(None) if target is None else np.isfinite(points[:, target])
                total += Sums.of(chained(points[kept], filled[kept], steps, limits, first=first) - start)
        yield batch_of(SUMS, [(total.n, to_bytes(total.total), to_bytes(total.products))])

    told = blocks.mapInArrow(add_up, SUMS).collect()
    parts = [Sums(r["n"], *_arrays(r["total"], r["products"], width)) for r in told]
    return reduce(add, parts)


def _arrays(total: bytes, products: bytes, width: int) -> tuple[Floats, Floats]:
    return np.frombuffer(total, dtype=np.float64), np.frombuffer(products, dtype=np.float64).reshape(width, width)


class IterativeImputerModel(KeepsFacts, _Params):
    """The chain of regressions: each row is filled from its own numbers alone. Lazy."""

    @property
    def nIter(self) -> int:
        """Rounds until nothing moved."""
        return len(self._kept["rounds"])

    def _transform(self, dataset: DataFrame) -> DataFrame:
        pairs = self.pairs()
        used: list[int] = self._kept["used"]
        start = np.array(self._kept["start"], dtype=np.float64)
        steps = [Step.from_json(told) for one in self._kept["rounds"] for told in one]
        limits = self.limits(used)

        def fill(points: Floats) -> Floats:
            answer = points.copy()
            here = points[:, used]
            answer[:, used] = chained(here, np.where(np.isfinite(here), here, start), steps, limits)
            return answer

        return filled_in(dataset, row_wise(fill, [c for c, _ in pairs]), pairs)
