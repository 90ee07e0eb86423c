"""Space cut into cells with a halo, for exact neighbours without all pairs. NumPy to NumPy; nothing here knows Spark.

A point's place is a row of coordinates of which each is 1-Lipschitz: it differs by no more than the distance of two
points does. So all neighbours of a cell's points within `reach` lie in the cell's box grown by `reach` on every
side (its halo), in any dimension and metric. Up to MANY dimensions the coordinates are the point's own. Above
that they are, for the Euclidean distance, projections on the sample's principal directions (orthonormal, hence
1-Lipschitz), else the distances to pivots of the sample (1-Lipschitz by the triangle inequality; Chávez 2001).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from scipy.spatial.distance import cdist

from medlake.ml.blocks import Floats, Ints, pieces

MANY = 8  # dimensions up to which a point's own coordinates place it; also the number of projections or pivots
METRIC = {1.0: "cityblock", 2.0: "euclidean", np.inf: "chebyshev"}
AT = (0.5, 0.4, 0.6, 0.3, 0.7)  # quantiles tried for a cut: where a gap in the data is, the halo is thin
MOST_IN_HALO = 0.5  # a cut with a larger share of its points within reach would cost more than it saves
ROUNDING = 1e-9  # halos are larger than reach by this share, so that no rounding loses a neighbour


@dataclass(frozen=True)
class Frame:
    """How a point is placed: as it is (no basis), by projections or by pivots; p: Minkowski's."""

    p: float
    basis: Floats | None = None

    def places(self, points: Floats) -> Floats:
        if self.basis is None:
            return points
        if self.p == 2.0:
            return points @ self.basis
        parts = [cdist(points[s], self.basis, METRIC[self.p]) for s in pieces(len(points))]
        return np.concatenate(parts) if parts else np.empty((0, len(self.basis)))


def frame_of(sample: Floats, p: float) -> Frame:
    """The frame for data like `sample`."""
    if sample.shape[1] <= MANY:
        return Frame(p)
    if p == 2.0:
        _, _, directions = np.linalg.svd(sample - sample.mean(axis=0), full_matrices=False)
        return Frame(p, np.ascontiguousarray(directions[:MANY].T))
    pivots = [int(np.argmax(cdist(sample, sample.mean(axis=0, keepdims=True), METRIC[p])[:, 0]))]
    nearest = np.full(len(sample), np.inf)
    while len(pivots) < min(MANY, len(sample)):  # the farthest from all pivots so far
        nearest = np.minimum(nearest, cdist(sample, sample[pivots[-1:]], METRIC[p])[:, 0])
        pivots.append(int(np.argmax(nearest)))
    return Frame(p, sample[pivots])


@dataclass(frozen=True)
class Cells:
    """A k-d tree: node i is cut at `cut[i]` across `axis[i]`; where that is -1, it is the cell `left[i]`."""

    frame: Frame
    reach: float
    axis: list[int]
    cut: list[float]
    left: list[int]
    right: list[int]

    @property
    def n(self) -> int:
        return sum(a < 0 for a in self.axis)

    def owners(self, points: Floats) -> Ints:
        """The cell of each point."""
        places, owner = self.frame.places(points), np.empty(len(points), dtype=np.int64)
        todo = [(0, np.arange(len(points)))]
        while todo:
            node, rows = todo.pop()
            if self.axis[node] < 0:
                owner[rows] = self.left[node]
                continue
            below = places[rows, self.axis[node]] < self.cut[node]
            todo += [(self.left[node], rows[below]), (self.right[node], rows[~below])]
        return owner

    def members(self, points: Floats) -> Iterator[tuple[int, Ints, Ints]]:
        """(cell, rows in it, rows in its halo) for every cell that has either."""
        places = self.frame.places(points)
        todo: list[tuple[int, Ints, Ints]] = [(0, np.arange(len(points)), np.empty(0, dtype=np.int64))]
        while todo:
            node, own, halo = todo.pop()
            if not len(own) and not len(halo):
                continue
            if self.axis[node] < 0:
                yield self.left[node], own, halo
                continue
            at, cut = places[:, self.axis[node]], self.cut[node]
            mine, theirs = at[own], at[halo]
            below = mine < cut
            for child, owned, near, halo_near in (
                (self.left[node], below, mine <= cut + self.reach, theirs <= cut + self.reach),
                (self.right[node], ~below, mine >= cut - self.reach, theirs >= cut - self.reach),
            ):
                todo.append((child, own[owned], np.r_[own[near & ~owned], halo[halo_near]]))

    def to_json(self) -> dict[str, Any]:
        """Plain values, from which `from_json` makes the same cells."""
        basis = None if self.frame.basis is None else self.frame.basis.tolist()
        return {**asdict(self), "frame": {"p": str(self.frame.p), "basis": basis}}

    @staticmethod
    def from_json(said: dict[str, Any]) -> Cells:
        basis = said["frame"]["basis"]
        frame = Frame(float(said["frame"]["p"]), None if basis is None else np.array(basis))
        return Cells(**{**said, "frame": frame})


def cells_of(sample: Floats, *, frame: Frame, per_point: float, most: float, reach: float, largest: float) -> Cells:
    """Cells of about `most` points each, if one sampled point stands for `per_point`.

    A cell is not cut where more than MOST_IN_HALO of its points would lie within reach of the cut: then both halves
    would hold nearly all of them. largest: the largest coordinate of the data, for the rounding of places.
    """
    wide = reach * (1 + ROUNDING) + largest * sample.shape[1] * 1e-14
    places = frame.places(sample)
    axis, cut, left, right = [-1], [0.0], [0], [0]
    todo, n_cells = [(0, np.arange(len(sample)))], 0
    while todo:
        node, rows = todo.pop()
        best = _best_cut(places[rows], wide) if len(rows) * per_point > most else None
        if best is None:
            left[node], n_cells = n_cells, n_cells + 1
            continue
        axis[node], cut[node] = best
        below = places[rows, best[0]] < best[1]
        children = len(axis), len(axis) + 1
        left[node], right[node] = children
        for values, blank in ((axis, -1), (cut, 0.0), (left, 0), (right, 0)):
            values += [blank, blank]
        todo += [(children[1], rows[~below]), (children[0], rows[below])]
    return Cells(frame, wide, axis, cut, left, right)


def _best_cut(places: Floats, reach: float) -> tuple[int, float] | None:
    """(axis, cut) with the fewest points within reach of it; None where even that is too many."""
    best, fewest = None, MOST_IN_HALO
    for axis in range(places.shape[1]):
        values = np.sort(places[:, axis])
        for quantile in AT:
            i = int(quantile * len(values))
            if not 0 < i < len(values) or values[i - 1] == values[i]:
                continue
            cut = (values[i - 1] + values[i]) / 2
            if not values[i - 1] < cut <= values[i]:
                cut = values[i]
            near = np.searchsorted(values, cut + reach, "right") - np.searchsorted(values, cut - reach, "left")
            # A cut off the middle has to earn it: cells of even size are worth a little halo.
            cost = near / len(values) + 0.2 * abs(quantile - 0.5)
            if cost < fewest:
                best, fewest = (axis, float(cut)), cost
    return best
