"""Points in blocks: many vectors in one row, so that a shuffle and a pass over the data cost little per point.

A block is one row with `n`, `points` (n × width doubles, row by row, as bytes) and `weight` (n doubles as
bytes: how many equal points each stands for). NumPy reads both without a copy. The pure functions come first.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from pyspark.ml.functions import vector_to_array
from pyspark.ml.linalg import VectorUDT
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

BLOCK_POINTS = 2048  # points in one row that leaves a task: small enough that 10,000 rows fit one Arrow batch
BUFFER_POINTS = 200_000  # points that a task gathers before it writes blocks


def matrix_of(column: pa.Array) -> tuple[Floats, Flags]:
    """(points, is each row sound) of an array<double> column; an unsound row is left out of the points.

    Unsound: null, a null or non-finite element, or a length other than that of the first row.
    """
    lengths = np.asarray(pc.fill_null(pc.list_value_length(column), -1), dtype=np.int64)
    width = int(lengths[0]) if len(lengths) else 0
    if column.null_count == 0 and (lengths == width).all():
        flat = np.asarray(pc.fill_null(column.flatten(), np.nan), dtype=np.float64)
        points = flat.reshape(len(lengths), width)
        sound = np.asarray(np.isfinite(points).all(axis=1) & (width > 0))
        return (points if sound.all() else points[sound]) + 0.0, sound  # + 0.0: -0.0 and 0.0 are one point
    rows = [np.asarray(r, dtype=np.float64) if r is not None and None not in r else None for r in column.to_pylist()]
    first = next((r for r in rows if r is not None and r.size), np.empty(0))
    same = [r is not None and r.size == first.size > 0 and bool(np.isfinite(r).all()) for r in rows]
    sound = np.array(same, dtype=np.bool_)
    kept = [r for r, is_sound in zip(rows, sound, strict=True) if is_sound and r is not None]
    return (np.vstack(kept) if kept else np.empty((0, first.size))) + 0.0, sound


def hashed(points: Floats, seed: int) -> npt.NDArray[np.uint64]:
    """A seeded 64-bit hash of each point (splitmix64 over its coordinates, Steele 2014)."""
    state = np.full(len(points), np.uint64((seed * 0x9E3779B97F4A7C15 + 1) % 2**64))
    with np.errstate(over="ignore"):
        for column in np.ascontiguousarray(points.T).view(np.uint64):
            state = (state ^ column) + np.uint64(0x9E3779B97F4A7C15)
            state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
            state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
            state ^= state >> np.uint64(31)
    return state


def collapsed(points: Floats, weight: Floats) -> tuple[Floats, Floats]:
    """Equal points made one, their weights summed; in the order of a hash, hence of no input order."""
    key = hashed(points, 0)
    order = np.argsort(key, kind="stable")
    key, points, weight = key[order], points[order], weight[order]
    if len(key) < 2 or (key[1:] != key[:-1]).all():
        return points, weight
    if ((key[1:] == key[:-1]) & (points[1:] != points[:-1]).any(axis=1)).any():  # two points with one hash
        order = np.lexsort(points.T)
        points, weight = points[order], weight[order]
    starts = np.r_[True, (points[1:] != points[:-1]).any(axis=1)]
    return points[starts], np.add.reduceat(weight, np.flatnonzero(starts))


def to_bytes(values: Floats) -> bytes:
    return np.ascontiguousarray(values, dtype=np.float64).tobytes()


def from_bytes(values: Iterable[bytes | None], width: int) -> Floats:
    """The points of several blocks, one below the other."""
    parts = [np.frombuffer(v, dtype=np.float64).reshape(-1, width) for v in values if v]
    return np.concatenate(parts) if parts else np.empty((0, width))


def pieces(n: int, size: int = BLOCK_POINTS) -> Iterator[slice]:
    """Slices of at most `size` that cover n rows."""
    return (slice(start, start + size) for start in range(0, n, size))


def as_array(dataset: DataFrame, column: str) -> Column:
    """The features as array<double>, whether they are a vector or an array of numbers."""
    kind = dataset.schema[column].dataType
    return vector_to_array(F.col(column)) if isinstance(kind, VectorUDT) else F.col(column).cast("array<double>")


def gathered(batches: Iterable[pa.RecordBatch]) -> Iterator[Floats]:
    """Sound points of batches with one array<double> column, gathered until there are BUFFER_POINTS of them."""
    held: list[Floats] = []
    for batch in batches:
        points, _ = matrix_of(batch.column(0))
        if len(points) and held and points.shape[1] != held[0].shape[1]:
            raise ValueError("feature vectors differ in length")
        held.append(points)
        if sum(map(len, held)) >= BUFFER_POINTS:
            yield np.concatenate(held)
            held = []
    held = [points for points in held if len(points)]
    if held:
        yield np.concatenate(held)


BLOCK = "n bigint, points binary, weight binary"


def as_blocks(dataset: DataFrame, features: str) -> DataFrame:
    """The points of `features` as blocks, in the order they came; unsound rows are left out."""

    def pack(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for points in gathered(batches):
            rows = [(len(p), to_bytes(p), to_bytes(np.ones(len(p)))) for p in (points[s] for s in pieces(len(points)))]
            yield batch_of(BLOCK, rows)

    return dataset.select(as_array(dataset, features)).mapInArrow(pack, BLOCK)


ARROW = {"bigint": pa.int64(), "int": pa.int32(), "double": pa.float64(), "binary": pa.binary(), "boolean": pa.bool_(),
         "string": pa.string(), "array<double>": pa.list_(pa.float64())}  # fmt: skip


def batch_of(ddl: str, rows: Sequence[tuple[object, ...]]) -> pa.RecordBatch:
    """Rows as an Arrow batch of a schema of plain types written as DDL."""
    fields = [(name, ARROW[kind]) for name, kind in (part.strip().split(" ", 1) for part in ddl.split(","))]
    columns = zip(*rows, strict=True) if rows else [()] * len(fields)
    arrays = [pa.array(list(c), kind) for c, (_, kind) in zip(columns, fields, strict=True)]
    return pa.RecordBatch.from_arrays(arrays, names=[name for name, _ in fields])
