"""Lloyd's iteration over blocks: one aggregation per step, for many starts and resamples at once. It runs Spark jobs.

Each partition sends one row of sums, which the driver adds in the order of partitions: starts × centres × width
numbers, whatever the number of rows.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from pyspark.sql import DataFrame
from scipy.sparse import csr_array
from sklearn.cluster import KMeans as OneMachine

from medlake.ml.blocks import Floats, Ints, batch_of, from_bytes, hashed, to_bytes
from medlake.ml.nearest import nearest_centre

POISSON_CDF = np.cumsum([0.36787944117144233 / f for f in (1, 1, 2, 6, 24, 120, 720, 5040, 40320)])  # of mean 1


@dataclass(frozen=True)
class Resample:
    """How often each point is drawn: by the Poisson bootstrap (Hanley 2006), or as one half of all points.

    The draw is a hash of the point, so it does not depend on order or partitions; equal points are drawn alike.
    """

    seed: int
    half: int | None = None

    def weights(self, points: Floats) -> Floats:
        drawn = hashed(points, self.seed)
        if self.half is not None:
            inside: Floats = (drawn & np.uint64(1) == np.uint64(self.half)).astype(np.float64)
            return inside
        times: Floats = np.searchsorted(POISSON_CDF, drawn / 2.0**64, side="right").astype(np.float64)
        return times


@dataclass(frozen=True)
class Fitted:
    """Centres that Lloyd's iteration ended with; inertia and mass (rows per centre) are those of these centres."""

    centres: Floats
    inertia: float
    mass: Floats
    n_iter: int


def summed(blocks: DataFrame, width: int, look: Callable[[Floats, Floats], Floats]) -> Floats:
    """The sum over all blocks of `look(points, weight)`, an array of one shape; one row per partition travels."""

    def per_partition(batches: Any) -> Any:
        total: Floats | None = None
        for batch in batches:
            points = from_bytes(batch.column("points").to_pylist(), width)
            seen = look(points, from_bytes(batch.column("weight").to_pylist(), 1)[:, 0])
            total = seen if total is None else total + seen
        yield batch_of("sums binary", [] if total is None else [(to_bytes(total),)])

    rows = blocks.mapInArrow(per_partition, "sums binary").collect()
    if not rows:
        raise ValueError("there are no rows to fit")
    total: Floats = np.sum([np.frombuffer(r["sums"], dtype=np.float64) for r in rows], axis=0)
    return total


def starts(sample: Floats, weight: Floats, k: int, *, n_tried: int, n_kept: int, seed: int) -> Floats:
    """The `n_kept` best of `n_tried` K-means of the sample (k-means++, Arthur 2007): n_kept × k × width.

    Raises:
        ValueError: the sample has fewer points of weight than k.
    """
    sample, weight = sample[weight > 0], weight[weight > 0]
    if len(sample) < k:
        raise ValueError(f"{len(sample)} distinct points are fewer than k = {k}")
    tried = [
        OneMachine(k, n_init=1, random_state=seed + i).fit(sample, sample_weight=weight) for i in range(n_tried)
    ]
    best = sorted(tried, key=lambda one: float(one.inertia_))[:n_kept]
    return np.stack([one.cluster_centers_ for one in best])


def lloyd(
    blocks: DataFrame, begin: Floats, *, max_iter: int, tolerance: float,
    resamples: Sequence[Resample | None] | None = None,
) -> list[Fitted]:  # fmt: skip
    """Each start led to its end: starts × k × width → one Fitted each; resamples: the rows that each start sees.

    A start is at its end when its centres moved by no more than `tolerance` (a sum of squares) or after `max_iter`
    steps. A centre that no point is nearest to stays where it is.
    """
    drawn = list(resamples or [None] * len(begin))
    centres, moving, n_iter = begin.copy(), np.ones(len(begin), dtype=bool), np.zeros(len(begin), dtype=np.int64)
    inertia, mass = np.zeros(len(begin)), np.zeros(begin.shape[:2])
    last = False
    for step in range(max_iter + 1):
        rows = np.flatnonzero(moving)
        sums, masses, inertia[rows] = _step(blocks, centres[rows], [drawn[i] for i in rows])
        mass[rows] = masses
        if last or step == max_iter:
            break
        fresh = np.where(masses[:, :, None] > 0, sums / np.maximum(masses, 1e-300)[:, :, None], centres[rows])
        moved = ((fresh - centres[rows]) ** 2).sum(axis=(1, 2))
        centres[rows], n_iter[rows] = fresh, n_iter[rows] + 1
        settled = moved <= tolerance
        # The figures of the last centres are wanted too: what settled with a move gets one more look, with the others.
        moving[rows[settled & (moved == 0)]] = False
        last = bool(settled.all())
        if not moving.any():
            break
    return [Fitted(centres[i], float(inertia[i]), mass[i], int(n_iter[i])) for i in range(len(begin))]


def _step(
    blocks: DataFrame, centres: Floats, drawn: Sequence[Resample | None]
) -> tuple[Floats, Floats, Floats]:
    """(sums, mass, inertia) of the points around each centre, for each start."""
    n_starts, k, width = centres.shape

    def look(points: Floats, weight: Floats) -> Floats:
        return np.stack([_around(points, weight, c, r) for c, r in zip(centres, drawn, strict=True)])

    total = summed(blocks, width, look).reshape(n_starts, k, width + 2)
    return total[:, :, :width], total[:, :, width], total[:, :, width + 1].sum(axis=1)


def _around(points: Floats, weight: Floats, centres: Floats, resample: Resample | None) -> Floats:
    """k × (width + 2): sum of points, mass and inertia of each centre."""
    drawn = weight if resample is None else weight * resample.weights(points)
    label, square = nearest_centre(points, centres)
    member = csr_array((drawn, (label, np.arange(len(points)))), shape=(len(centres), len(points)))
    return np.hstack([member @ points, (member @ np.c_[np.ones(len(points)), square])])


def crossed(blocks: DataFrame, ours: Floats, others: Floats) -> Floats:
    """others × k × k: how many rows are nearest to centre i of `ours` and to centre j of each of `others`."""
    k, m = len(ours), others.shape[1]

    def look(points: Floats, weight: Floats) -> Floats:
        mine: Ints = nearest_centre(points, ours)[0]
        cells = [mine * m + nearest_centre(points, other)[0] for other in others]
        return np.stack([np.bincount(c, weight, k * m) for c in cells])

    return summed(blocks, ours.shape[1], look).reshape(len(others), k, m)
