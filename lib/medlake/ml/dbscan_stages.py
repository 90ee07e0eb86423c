"""The stages of distributed DBSCAN as functions of Arrow batches: route, find, match, label. No session, no action.

A group found in a cell has the number cell · 2³² + its number in the cell. What the cells tell each other goes by
the coordinates of a point, which are the same bytes wherever it went.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from scipy.spatial import cKDTree

from medlake.ml.blocks import (
    Flags,
    Floats,
    Ints,
    batch_of,
    collapsed,
    from_bytes,
    gathered,
    matrix_of,
    pieces,
    to_bytes,
)
from medlake.ml.cells import Cells
from medlake.ml.density import PAIRS_AT_ONCE, found_in
from medlake.ml.metric import Metric

Batches = Iterator[pa.RecordBatch]
ROUTED = "cell bigint, is_own boolean, points binary, weight binary"
FOUND = "kind string, cell bigint, comp bigint, mass double, first array<double>, points binary, comps binary"
CORE, BORDER, CLAIM = "core", "border", "claim"  # core points; those in halos of lower cells; claims on higher cells
SHIFT = 2**32


@dataclass(frozen=True)
class Rule:
    """What makes a point core: `min_points` within `radius` of it, itself among them, in the embedded space."""

    metric: Metric
    radius: float
    min_points: float
    width: int
    pairs_at_once: int = PAIRS_AT_ONCE


def routed(cells: Cells, rule: Rule) -> Callable[[Batches], Batches]:
    """Points → blocks for the cell that owns them and for the cells in whose halo they lie, duplicates as one."""

    def route(batches: Batches) -> Batches:
        for raw in gathered(batches):
            points, weight = collapsed(rule.metric.embedded(raw), np.ones(len(raw)))
            rows: list[tuple[object, ...]] = []
            for cell, own, halo in cells.members(points):
                for is_own, chosen in ((True, own), (False, halo)):
                    blocks = (chosen[s] for s in pieces(len(chosen)))
                    rows += [(cell, is_own, to_bytes(points[b]), to_bytes(weight[b])) for b in blocks]
            yield batch_of(ROUTED, rows)

    return route


def found(cells: Cells, rule: Rule) -> Callable[[pa.Table], pa.Table]:
    """All blocks of one cell → its core points by group, and what it has to tell and to ask."""

    def find(blocks: pa.Table) -> pa.Table:
        cell = blocks["cell"][0].as_py()
        is_own = np.asarray(blocks["is_own"])
        own, weight = _side(blocks, is_own, rule.width)
        halo, halo_weight = _side(blocks, ~is_own, rule.width)
        known = found_in(
            own, halo, weight, halo_weight,
            eps=rule.radius, min_points=rule.min_points, p=rule.metric.p, pairs_at_once=rule.pairs_at_once,
        )  # fmt: skip
        comps = cell * SHIFT + known.group
        core = np.flatnonzero(known.is_core)
        rows = [*_core_rows(cell, own, weight, known.group, core), *_border_rows(cells, cell, own, comps, core)]
        rows += _claim_rows(cells, cell, halo[known.claimed], cell * SHIFT + known.claimed_by)
        return pa.Table.from_batches([batch_of(FOUND, rows)])

    return find


def _side(blocks: pa.Table, chosen: Flags, width: int) -> tuple[Floats, Floats]:
    kept = blocks.filter(pa.array(chosen))
    points, weight = from_bytes(kept["points"].to_pylist(), width), from_bytes(kept["weight"].to_pylist(), 1)[:, 0]
    return collapsed(points, weight)


def _core_rows(cell: int, own: Floats, weight: Floats, group: Ints, core: Ints) -> Iterator[tuple[object, ...]]:
    order = core[np.argsort(group[core], kind="stable")]
    ends = np.flatnonzero(group[order][1:] != group[order][:-1]) + 1
    for members in np.split(order, ends) if len(order) else []:
        comp, first = cell * SHIFT + int(group[members[0]]), first_of(own[members]).tolist()
        for s in pieces(len(members)):
            part = members[s]
            yield CORE, cell, comp, float(weight[part].sum()), first, to_bytes(own[part]), None


def first_of(points: Floats) -> Floats:
    """The smallest point, compared coordinate by coordinate."""
    left = np.arange(len(points))
    for values in points.T:
        left = left[values[left] == values[left].min()]
    first: Floats = points[left[0]]
    return first


def _border_rows(cells: Cells, cell: int, own: Floats, comps: Ints, core: Ints) -> list[tuple[object, ...]]:
    shared = [core[halo] for other, _, halo in cells.members(own[core]) if other < cell and len(halo)]
    if not shared:
        return []
    rows = np.unique(np.concatenate(shared))
    return [(BORDER, cell, None, None, None, to_bytes(own[rows]), comps[rows].tobytes())]


def _claim_rows(cells: Cells, cell: int, points: Floats, comps: Ints) -> list[tuple[object, ...]]:
    """One row per neighbour; a link is seen from both its cells, and told by the lower one."""
    owner = cells.owners(points)
    return [
        (CLAIM, int(other), None, None, None, to_bytes(points[owner == other]), comps[owner == other].tobytes())
        for other in np.unique(owner[owner > cell])
    ]


def matched(rule: Rule) -> Callable[[pa.Table], pa.Table]:
    """The border and the claims on one cell → edges between groups that are one."""

    def match(told: pa.Table) -> pa.Table:
        is_claim = np.asarray(told["kind"]) == CLAIM
        (points, comps), (claimed, by) = (_told(told, chosen, rule.width) for chosen in (~is_claim, is_claim))
        both = np.ascontiguousarray(np.concatenate([points, claimed]))
        same = np.unique(both.view(np.dtype((np.void, 8 * rule.width)))[:, 0], return_inverse=True)[1]
        comp_of = np.full(len(both), -1, dtype=np.int64)
        comp_of[same[: len(points)]] = comps
        mine = comp_of[same[len(points) :]]
        edges = np.unique(np.stack([mine[mine >= 0], by[mine >= 0]], axis=1), axis=0)
        return pa.table([pa.array(edges[:, 0]), pa.array(edges[:, 1])], names=["a", "b"])

    return match


def _told(told: pa.Table, chosen: Flags, width: int) -> tuple[Floats, Ints]:
    kept = told.filter(pa.array(chosen))
    comps = [np.frombuffer(c, dtype=np.int64) for c in kept["comps"].to_pylist()]
    return from_bytes(kept["points"].to_pylist(), width), np.concatenate([*comps, np.empty(0, dtype=np.int64)])


def placed(cells: Cells, rule: Rule) -> Callable[[pa.Array], pa.Array]:
    """Feature arrays → cell of each; -1 for one that cannot be placed (null, not finite, another length)."""

    def place(features: pa.Array) -> pa.Array:
        points, sound = matrix_of(features)
        owner = np.full(len(features), -1, dtype=np.int64)
        if points.shape[1] == rule.width:
            owner[sound] = cells.owners(rule.metric.embedded(points))
        return pa.array(owner)

    return place


SPREAD = "cell bigint, cluster int, points binary"


def spread(cells: Cells, rule: Rule) -> Callable[[Batches], Batches]:
    """Core points by cluster → the same, for every cell in which a point could be within reach of them."""

    def pass_on(batches: Batches) -> Batches:
        for batch in batches:
            rows: list[tuple[object, ...]] = []
            for cluster, block in zip(*(batch.column(i).to_pylist() for i in (0, 1)), strict=True):
                points = from_bytes([block], rule.width)
                for cell, own, halo in cells.members(points):
                    rows.append((cell, cluster, to_bytes(points[np.r_[own, halo]])))
            yield batch_of(SPREAD, rows)

    return pass_on


@dataclass(frozen=True)
class Neighbours:
    """The core points in reach of one cell."""

    tree: cKDTree
    cluster: Ints

    def label(self, points: Floats, rule: Rule) -> tuple[Ints, Flags]:
        """(cluster of the nearest core point within the radius, or -1; is it a core point itself).

        Of core points equally near, the one of the lowest cluster number decides.
        """
        bound = rule.radius * (1 + 1e-9)
        distance, index = self.tree.query(points, k=[1, 2], p=rule.metric.p, distance_upper_bound=bound)
        near = distance[:, 0] <= rule.radius
        label = np.where(near, np.r_[self.cluster, -1][index[:, 0]], -1)
        tied = np.flatnonzero(near & (distance[:, 0] > 0) & (distance[:, 0] == distance[:, 1]))
        if len(tied):
            balls = self.tree.query_ball_point(points[tied], distance[tied, 0], p=rule.metric.p)
            label[tied] = [min(self.cluster[[*ball, i]]) for ball, i in zip(balls, index[tied, 0], strict=True)]
        return label, near & (distance[:, 0] == 0)
