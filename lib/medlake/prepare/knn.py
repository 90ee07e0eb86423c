"""Missing values from the nearest rows of the fit, exactly. Fitting runs Spark jobs: one for means, one packs the rows.

Neither the rows of the fit nor those to be filled are ever on one machine: both travel as blocks, each block of
one meets each block of the other, and what a task found so far is merged as it goes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import pyarrow as pa
from pyspark import keyword_only
from pyspark.ml import Estimator
from pyspark.ml.param import TypeConverters
from pyspark.ml.param.shared import HasSeed
from pyspark.ml.util import DefaultParamsReadable, DefaultParamsWritable
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from medlake.ml.blocks import Floats, batch_of, from_bytes, to_bytes
from medlake.prepare.columns import Columns, KeepsFacts, as_lists, filled_in, matrix, number, param
from medlake.prepare.donors import Donors, filled, merged, nearest_donors

WEIGHTS = ("uniform", "distance")
DONORS, QUERIES = 2048, 256  # rows in one block: 2048 rows of 20 columns are 330 KB
DONOR_BLOCK, QUERY_BLOCK = "donors binary", "queries binary"
PARTIAL = "queries binary, distance binary, value binary"
HELD_BYTES = 64_000_000  # of what a task found so far
KEY, ANSWER = "_key", "_answer"


class _Params(Columns, HasSeed):
    nNeighbors = param("nNeighbors", "donors of one value", TypeConverters.toInt)
    weights = param("weights", "uniform, distance", TypeConverters.toString)
    maxDonors = param("maxDonors", "rows of the fit that may give, a seeded sample; 0: all", TypeConverters.toInt)

    def __init__(self) -> None:
        super().__init__()
        self._setDefault(nNeighbors=5, weights="uniform", maxDonors=0, seed=0)


class KNNImputer(Estimator["KNNImputerModel"], _Params, DefaultParamsReadable[Any], DefaultParamsWritable):
    """A missing value becomes the mean of those of the nNeighbors nearest rows of the fit that have it.

    Distance: nan_euclidean over inputCols, so put a scaler before it. Equal distances: the smaller value first.
    Where no row of the fit shares a column with a row, its value becomes the column's mean. A column without any value
    in the fit stays missing. Outputs are double.

    Cost: distinct incomplete rows × rows of the fit × columns, in blocks, on all cores; maxDonors bounds the second
    factor. A task holds one block of either side. The model keeps the rows of the fit: it is as secret as they are.

    >>> KNNImputer(inputCols=["age", "hb", "crp"], nNeighbors=5).fit(train).transform(test)  # doctest: +SKIP
    """

    @keyword_only
    def __init__(
        self, *, inputCols: list[str] | None = None, outputCols: list[str] | None = None, nNeighbors: int = 5,
        weights: str = "uniform", maxDonors: int = 0, seed: int = 0,
    ) -> None:  # fmt: skip
        super().__init__()
        self._set(**self._given())

    def _fit(self, dataset: DataFrame) -> KNNImputerModel:
        columns, most = self.inputs(), self.getOrDefault(self.maxDonors)
        self.one_of("weights", WEIGHTS)
        if self.getOrDefault(self.nNeighbors) < 1:
            raise ValueError("KNNImputer: nNeighbors must be at least 1")
        means = dataset.agg(*[F.avg(number(c)) for c in columns]).first()
        able = dataset.select(*[number(c).alias(f"c{i}") for i, c in enumerate(columns)]).dropna(how="all")
        if most:
            draw = F.xxhash64(F.lit(self.getOrDefault(self.seed)), *able.columns)
            able = able.orderBy(draw, *able.columns).limit(most)
        model = KNNImputerModel()
        model._kept = {"means": list(means or [])}
        points = able.select(F.array(*able.columns))
        model._kept_tables = {"donors": _packed(points, len(columns), DONORS, DONOR_BLOCK).localCheckpoint()}
        return self._copyValues(model)


class KNNImputerModel(KeepsFacts, _Params):
    """The rows of the fit in blocks. Lazy: which rows are near is found when the answer is read."""

    def _transform(self, dataset: DataFrame) -> DataFrame:
        pairs, columns = self.pairs(), self.inputs()
        answers = _answers(
            dataset.select(_key(columns).alias(KEY)).where(F.exists(KEY, F.isnan)).distinct(),
            self._kept_tables["donors"],
            means=np.array(self._kept["means"], dtype=np.float64),
            k=self.getOrDefault(self.nNeighbors),
            by_distance=self.getOrDefault(self.weights) == "distance",
        )
        joined = dataset.withColumn(KEY, _key(columns)).join(answers, on=KEY, how="left")
        return filled_in(joined, F.col(ANSWER), pairs).drop(KEY, ANSWER)


def _key(columns: list[str]) -> Column:
    """The row's numbers; NaN where one is missing, which Spark takes for equal to itself."""
    return F.array(*[F.coalesce(number(c), F.lit(float("nan"))) + 0.0 for c in columns])


def _packed(points: DataFrame, width: int, size: int, ddl: str) -> DataFrame:
    """Rows of one array<double> column as blocks of at most `size`."""

    def pack(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        held = np.empty((0, width))
        for batch in batches:
            held = np.concatenate([held, matrix(batch.column(0), width)])
            n = len(held) // size * size
            if n:
                yield batch_of(ddl, [(to_bytes(held[s : s + size]),) for s in range(0, n, size)])
                held = held[n:]
        if len(held):
            yield batch_of(ddl, [(to_bytes(held),)])

    return points.mapInArrow(pack, ddl)


def _answers(wanting: DataFrame, donors: DataFrame, *, means: Floats, k: int, by_distance: bool) -> DataFrame:
    """`_key` and `_answer`, the same row filled, for each distinct incomplete row."""
    width = len(means)

    def search(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Of all the pairs that a task sees, the best of each block of queries."""

        def found(queries: Floats, block: list[bytes]) -> Donors:
            return nearest_donors(queries, from_bytes(block, width), k)

        yield from _streamed(batches, width, found)

    def unite(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        shape = (-1, width, k)
        told = _streamed(
            batches, width,
            lambda _, block: Donors(*[np.frombuffer(b, dtype=np.float64).reshape(shape) for b in block]),
        )  # fmt: skip
        for batch in told:
            for block, distance, value in zip(*[batch.column(i).to_pylist() for i in range(3)], strict=True):
                queries = from_bytes([block], width)
                found = Donors(*[np.frombuffer(b, dtype=np.float64).reshape(shape) for b in (distance, value)])
                keys = pa.ListArray.from_arrays(
                    np.arange(0, (len(queries) + 1) * width, width, dtype=np.int32), pa.array(queries.ravel())
                )
                answer = as_lists(filled(queries, found, means, by_distance=by_distance))
                yield pa.RecordBatch.from_arrays([keys, answer], names=[KEY, ANSWER])

    # Sorted, or a task that is run again would cut other blocks than the tasks beside it have seen.
    asked = _packed(wanting.sortWithinPartitions(KEY), width, QUERIES, QUERY_BLOCK)
    partial = asked.crossJoin(donors).mapInArrow(search, PARTIAL)
    grouped = partial.repartition("queries").sortWithinPartitions("queries")
    return grouped.mapInArrow(unite, f"{KEY} array<double>, {ANSWER} array<double>")


def _streamed(
    batches: Iterator[pa.RecordBatch], width: int, found: Callable[[Floats, list[bytes]], Donors]
) -> Iterator[pa.RecordBatch]:
    """Rows (queries, block …) → one row of PARTIAL for equal queries, or a few where more than HELD_BYTES are open.

    Where equal queries stand one after the other, one row it is: what is passed on has come to its end.
    """
    held: dict[bytes, Donors] = {}
    for batch in batches:
        for block, *rest in zip(*batch.columns, strict=True):
            key = block.as_py()
            told = found(from_bytes([key], width), [r.as_py() for r in rest])
            if key not in held and len(held) * told.distance.nbytes * 2 > HELD_BYTES:
                yield _as_batch(held)
                held = {}
            held[key] = merged(held[key], told) if key in held else told
    yield _as_batch(held)


def _as_batch(held: Mapping[bytes, Donors]) -> pa.RecordBatch:
    return batch_of(PARTIAL, [(key, to_bytes(best.distance), to_bytes(best.value)) for key, best in held.items()])
