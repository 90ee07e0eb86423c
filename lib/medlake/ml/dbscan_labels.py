"""Rows beside the core points of their cell: the streaming half of DBSCAN's transform. Lazy.

Both are brought together by cell and sorted, core points first; a task then holds the core points of one cell
and one Arrow batch of rows, however many rows the cell has.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql import types as T
from pyspark.sql.pandas.functions import arrow_udf
from scipy.spatial import cKDTree

from medlake.ml.blocks import Floats, as_array, from_bytes, matrix_of
from medlake.ml.cells import Cells
from medlake.ml.dbscan_stages import Batches, Neighbours, Rule, placed

CELL, POINTS, CLUSTER, PLACE = "_dbscan_cell", "_dbscan_points", "_dbscan_cluster", "_dbscan_features"
NOISE = -1


def labelled(
    dataset: DataFrame, core: DataFrame, cells: Cells, rule: Rule, *, features: str, cluster: str, is_core: str
) -> DataFrame:
    """dataset with its columns `cluster` int and `is_core` boolean added. core: cell, cluster, points."""
    place = arrow_udf(placed(cells, rule), "bigint")  # type: ignore[call-overload]
    rows = dataset.withColumn(PLACE, as_array(dataset, features)).withColumn(CELL, place(PLACE))
    core = core.select(F.col("cell").alias(CELL), F.col("cluster").alias(CLUSTER), F.col("points").alias(POINTS))
    # Cells without rows need no core points.
    core = core.join(rows.select(CELL).distinct(), on=CELL, how="left_semi")
    brought = rows.unionByName(core, allowMissingColumns=True).repartition(CELL)
    ordered = brought.sortWithinPartitions(CELL, F.col(POINTS).isNull())
    added = T.StructType([*dataset.schema.fields, T.StructField(cluster, T.IntegerType()),
                          T.StructField(is_core, T.BooleanType())])  # fmt: skip
    return ordered.mapInArrow(_label(rule, dataset.columns, [cluster, is_core]), added)


def _label(rule: Rule, kept: list[str], added: list[str]) -> Callable[[Batches], Batches]:
    def label(batches: Batches) -> Batches:
        cell: int | None = None
        held: list[tuple[int, bytes]] = []
        known: Neighbours | None = None
        for batch in batches:
            for start, stop in _runs(batch):
                run = batch.slice(start, stop - start)
                here = run.column(CELL)[0].as_py()
                if here != cell:
                    cell, held, known = here, [], None
                if run.column(POINTS)[0].is_valid:
                    held += zip(run.column(CLUSTER).to_pylist(), run.column(POINTS).to_pylist(), strict=True)
                    continue
                if known is None and held:
                    known, held = _neighbours(held, rule), []
                yield _answered(run, known, rule, kept, added)

    return label


def _runs(batch: pa.RecordBatch) -> Iterator[tuple[int, int]]:
    """Stretches of one cell and of one kind, core points or rows."""
    cell = np.asarray(batch.column(CELL))
    is_core = np.asarray(batch.column(POINTS).is_valid())
    ends = np.flatnonzero(np.r_[(cell[1:] != cell[:-1]) | (is_core[1:] != is_core[:-1]), True][: len(cell)]) + 1
    return zip(np.r_[0, ends[:-1]].tolist(), ends.tolist(), strict=True) if len(cell) else iter(())


def _neighbours(held: list[tuple[int, bytes]], rule: Rule) -> Neighbours:
    sizes = [len(block) // (8 * rule.width) for _, block in held]
    points: Floats = from_bytes([block for _, block in held], rule.width)
    return Neighbours(cKDTree(points, balanced_tree=False), np.repeat([cluster for cluster, _ in held], sizes))


def _answered(
    run: pa.RecordBatch, known: Neighbours | None, rule: Rule, kept: list[str], added: list[str]
) -> pa.RecordBatch:
    n, is_placed = run.num_rows, run.column(CELL)[0].as_py() >= 0
    cluster, is_core = np.full(n, NOISE), np.zeros(n, dtype=bool)
    if is_placed and known is not None:
        cluster, is_core = known.label(rule.metric.embedded(matrix_of(run.column(PLACE))[0]), rule)
    unknown = np.full(n, not is_placed)
    answers = [pa.array(cluster.astype(np.int32), mask=unknown), pa.array(is_core, mask=unknown)]
    return pa.RecordBatch.from_arrays([*(run.column(name) for name in kept), *answers], names=[*kept, *added])
