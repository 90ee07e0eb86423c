"""The nearest donors of rows that miss a value: NumPy only, so that blocks of rows can be compared on any machine.

Distance (Dixon 1979, scikit-learn's nan_euclidean): √(columns / shared columns · Σ over shared columns (x - y)²).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from medlake.ml.blocks import Floats

CELLS_AT_ONCE = 2_000_000  # distances held at once: 16 MB


@dataclass(frozen=True)
class Donors:
    """For each query and column the nearest donors so far: squared distance (∞: none) and the donor's value.

    Both arrays are queries × columns × k, in rising order of distance, then value. Only columns that the query misses
    are filled.
    """

    distance: Floats
    value: Floats


def squared_distances(queries: Floats, donors: Floats) -> Floats:
    """nan_euclidean squared, queries × donors; ∞ where no column is shared."""
    has_q, has_d = np.isfinite(queries), np.isfinite(donors)
    q, d = np.where(has_q, queries, 0.0), np.where(has_d, donors, 0.0)
    n_shared = has_q.astype(float) @ has_d.T.astype(float)
    square = (q**2) @ has_d.T - 2 * q @ d.T + has_q @ (d**2).T
    with np.errstate(divide="ignore", invalid="ignore"):
        scaled = np.maximum(square, 0.0) * queries.shape[1] / n_shared
    return np.where(n_shared > 0, scaled, np.inf)


def none_yet(n: int, width: int, k: int) -> Donors:
    return Donors(np.full((n, width, k), np.inf), np.full((n, width, k), np.nan))


def nearest_donors(queries: Floats, donors: Floats, k: int) -> Donors:
    """The k nearest donors of each missing value among the donors that have it."""
    n, width = queries.shape
    found = none_yet(n, width, k)
    step = max(1, CELLS_AT_ONCE // max(1, len(donors)))
    for start in range(0, n, step):
        part = slice(start, start + step)
        square = squared_distances(queries[part], donors)
        for column in range(width):
            wanting = np.flatnonzero(~np.isfinite(queries[part, column]))
            able = np.flatnonzero(np.isfinite(donors[:, column]))
            if not len(wanting) or not len(able):
                continue
            distance = square[np.ix_(wanting, able)]
            value = np.broadcast_to(donors[able, column], distance.shape)
            distance, value = _lowest(distance, value, k)
            found.distance[start + wanting, column, : distance.shape[1]] = distance
            found.value[start + wanting, column, : distance.shape[1]] = value
    return found


def _lowest(distance: Floats, value: Floats, k: int) -> tuple[Floats, Floats]:
    """The k lowest of each row, ties by value."""
    if distance.shape[1] > k:
        limit = np.partition(distance, k - 1, axis=1)[:, k - 1 : k]
        worst = int((distance <= limit).sum(axis=1).max())  # ties at the limit are all looked at
        first = np.argpartition(distance, worst - 1, axis=1)[:, :worst] if worst < distance.shape[1] else None
        if first is not None:
            distance, value = np.take_along_axis(distance, first, 1), np.take_along_axis(value, first, 1)
    order = np.lexsort((value, distance), axis=1)[:, :k]
    distance, value = np.take_along_axis(distance, order, 1), np.take_along_axis(value, order, 1)
    return distance, np.where(np.isfinite(distance), value, np.nan)


def merged(one: Donors, other: Donors) -> Donors:
    """The nearest of both."""
    n, width, k = one.distance.shape
    distance, value = (
        np.concatenate(pair, axis=2).reshape(n * width, -1)
        for pair in ((one.distance, other.distance), (one.value, other.value))
    )
    distance, value = _lowest(distance, value, k)
    return Donors(distance.reshape(n, width, k), value.reshape(n, width, k))


def filled(queries: Floats, found: Donors, means: Floats, *, by_distance: bool) -> Floats:
    """The queries with their missing values: the mean of the donors' values, or the column's mean where there is none.

    by_distance: weighed by 1 / distance; donors at distance 0 then count alone.
    """
    there = np.isfinite(found.distance)
    weight = there.astype(float)
    if by_distance:
        distance = np.sqrt(found.distance)
        with np.errstate(divide="ignore"):
            weight = np.where(there, 1 / distance, 0.0)
        same = np.isinf(weight)
        weight = np.where(same.any(axis=2, keepdims=True), same.astype(float), weight)
    total = weight.sum(axis=2)
    with np.errstate(invalid="ignore"):
        answer = (weight * np.where(there, found.value, 0.0)).sum(axis=2) / total
    answer = np.where(total > 0, answer, means)
    return np.where(np.isfinite(queries), queries, answer)
