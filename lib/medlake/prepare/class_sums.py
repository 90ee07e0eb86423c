"""Counts, means and spreads of many columns by class, in one pass of NumPy. Gathering them runs Spark jobs.

A task gives one row a class, of a few numbers a column; they are put together by Chan's formula (1983), so nothing
is lost where a mean is large beside its spread. Missing values count for no column.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from medlake.ml.blocks import Floats, batch_of, to_bytes
from medlake.prepare.columns import matrix, named, vector

MAX_CLASSES = 100
SUMS = "label string, n_rows bigint, sums binary"
PAIRS = "sums binary"


@dataclass(frozen=True)
class ClassSums:
    """Per class and column (classes × columns): values there are, their mean, squared departures from it, smallest."""

    labels: list[str]
    n_rows: Floats  # of each class, with missing values
    n: Floats
    mean: Floats
    squares: Floats
    smallest: Floats

    def together(self) -> tuple[Floats, Floats, Floats]:
        """(n, mean, squares) of each column over all classes."""
        n = self.n.sum(axis=0)
        with np.errstate(invalid="ignore"):
            mean = (self.n * self.mean).sum(axis=0) / n
        squares = self.squares.sum(axis=0) + (self.n * (self.mean - mean) ** 2).sum(axis=0)
        return n, mean, squares


def label_of(column: str) -> Column:
    """A label as text; null where it is missing. 1, 1.0 and true are labels of their own."""
    return named(column).cast("string")


def class_sums(dataset: DataFrame, columns: Sequence[str], label: str | None) -> ClassSums:
    """Sums by the classes of `label`; without one, all rows are one class. Rows without a label are left out.

    Raises:
        ValueError: there are no rows, or more than 100 classes: is the label a number?
    """
    width = len(columns)

    def count(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        held: dict[str, tuple[int, Floats]] = {}
        for batch in batches:
            names = np.asarray(batch.column(0).to_pylist(), dtype=object)
            points = matrix(batch.column(1), width)
            for name in sorted(set(names)):
                here = points[names == name]
                n, told = len(here), _moments(here)
                if name in held:
                    n, told = n + held[name][0], _united(held[name][1], told)
                held[name] = (n, told)
        yield batch_of(SUMS, [(name, n, to_bytes(told)) for name, (n, told) in held.items()])

    known = F.lit("all") if label is None else label_of(label)
    rows = dataset.select(known.alias("label"), vector(columns)).where("label IS NOT NULL")
    united: dict[str, tuple[int, Floats]] = {}
    for row in rows.mapInArrow(count, SUMS).toLocalIterator():
        name, n, told = row["label"], row["n_rows"], np.frombuffer(row["sums"], dtype=np.float64).reshape(4, width)
        before = united.get(name)
        united[name] = (n, told) if before is None else (n + before[0], _united(before[1], told))
        if len(united) > MAX_CLASSES:
            raise ValueError(f"{label} has more than {MAX_CLASSES} classes: is it a number? Put a Binner before it")
    if not united:
        raise ValueError("there are no rows with a label to learn from")
    labels = sorted(united)
    sums = np.stack([united[name][1] for name in labels], axis=1)
    n_rows = np.array([united[name][0] for name in labels], dtype=np.float64)
    return ClassSums(labels, n_rows, sums[0], sums[1], sums[2], sums[3])


def _moments(points: Floats) -> Floats:
    """n, mean, squares, smallest of each column."""
    there = np.isfinite(points)
    n = there.sum(axis=0).astype(float)
    mean = np.where(there, points, 0.0).sum(axis=0) / np.maximum(n, 1)
    squares = (np.where(there, points - mean, 0.0) ** 2).sum(axis=0)
    return np.stack([n, mean, squares, np.where(there, points, np.inf).min(axis=0, initial=np.inf)])


def _united(one: Floats, other: Floats) -> Floats:
    n = one[0] + other[0]
    away = other[1] - one[1]
    mean = one[1] + away * other[0] / np.maximum(n, 1)
    squares = one[2] + other[2] + away**2 * one[0] * other[0] / np.maximum(n, 1)
    return np.stack([n, mean, squares, np.minimum(one[3], other[3])])


def correlations(dataset: DataFrame, columns: Sequence[str], centre: Floats) -> Floats:
    """Pearson's r of each pair over the rows that have both (as pandas' corr); NaN where there is none.

    centre: about the means, so that nothing is lost by cancellation. The driver sees 4 · columns² numbers a task.
    """
    width = len(columns)

    def add_up(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        total = np.zeros((4, width, width))
        for batch in batches:
            points = matrix(batch.column(0), width)
            there = np.isfinite(points).astype(float)
            z = np.where(there > 0, points - centre, 0.0)
            total += np.stack([there.T @ there, z.T @ there, (z**2).T @ there, z.T @ z])
        yield batch_of(PAIRS, [(to_bytes(total.ravel()),)])

    total = np.zeros((4, width, width))
    for row in dataset.select(vector(columns)).mapInArrow(add_up, PAIRS).toLocalIterator():
        total += np.frombuffer(row["sums"], dtype=np.float64).reshape(4, width, width)
    n, sums, squares, products = total
    with np.errstate(divide="ignore", invalid="ignore"):
        variance = squares - sums**2 / n
        r = (products - sums * sums.T / n) / np.sqrt(variance * variance.T)
    return np.asarray(np.clip(r, -1.0, 1.0))


def class_bins(
    dataset: DataFrame, columns: Sequence[str], label: str, edges: Sequence[Sequence[float]]
) -> list[Floats]:
    """For each column a table classes × bins of how many rows there are; a value at an edge is in the bin above."""
    width, most = len(columns), max(len(e) for e in edges) + 1

    def count(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        held: dict[str, Floats] = {}
        for batch in batches:
            names = np.asarray(batch.column(0).to_pylist(), dtype=object)
            points = matrix(batch.column(1), width)
            for name in sorted(set(names)):
                here = points[names == name]
                table = held.setdefault(name, np.zeros((width, most)))
                for i in range(width):
                    values = here[np.isfinite(here[:, i]), i]
                    table[i] += np.bincount(np.searchsorted(edges[i], values, side="right"), minlength=most)
        yield batch_of(SUMS, [(name, 0, to_bytes(table)) for name, table in held.items()])

    rows = dataset.select(label_of(label).alias("label"), vector(columns)).where("label IS NOT NULL")
    united: dict[str, Floats] = {}
    for row in rows.mapInArrow(count, SUMS).toLocalIterator():
        told = np.frombuffer(row["sums"], dtype=np.float64).reshape(width, most)
        united[row["label"]] = united.get(row["label"], np.zeros((width, most))) + told
        if len(united) > MAX_CLASSES:
            raise ValueError(f"{label} has more than {MAX_CLASSES} classes: is it a number? Put a Binner before it")
    tables = np.stack([united[name] for name in sorted(united)], axis=1)
    return [tables[i, :, : len(edges[i]) + 1] for i in range(width)]
