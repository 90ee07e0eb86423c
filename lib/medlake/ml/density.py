"""DBSCAN inside one cell, exact and in bounded memory. NumPy to NumPy; nothing here knows Spark.

Where the neighbour pairs of a cell fit into memory they are listed once by a dual-tree search (scipy's cKDTree) and
counted. Where the cell is denser, no list is made: a point is core if its `min_points` nearest (each of weight ≥ 1)
weigh enough, which costs the same at any density; core points of one square of side eps/√d are together by
its diagonal; what is still apart is tried group by group against the points near the group's box.
Source: Ester et al. 1996; Gunawan 2013 for the squares.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from medlake.ml.blocks import Flags, Floats, Ints, pieces

PAIRS_AT_ONCE = 8_000_000  # pairs listed at once: 128 MB
QUERIES_AT_ONCE = 400_000  # neighbours held at once by the search of a dense cell
PROBES = 256  # points whose neighbours are counted to foresee the number of pairs
SQUARES_UP_TO = 8  # dimensions in which squares of side eps/√d hold more than one point


@dataclass(frozen=True)
class Found:
    """What a cell knows: which of its points are core, the group of each (-1: not core), and claims.

    A claim (halo point, group) says that the halo point lies within eps of a core point of the group: if it is
    core, it belongs there, which only the cell that owns it knows.
    """

    is_core: Flags
    group: Ints
    claimed: Ints
    claimed_by: Ints


def found_in(
    own: Floats, halo: Floats, weight: Floats, halo_weight: Floats, *,
    eps: float, min_points: float, p: float, pairs_at_once: int = PAIRS_AT_ONCE,
) -> Found:  # fmt: skip
    """Core points and groups of `own`, whose neighbours within eps are all in own and halo; both without duplicates."""
    points, weights = np.concatenate([own, halo]), np.r_[weight, halo_weight]
    tree = cKDTree(points, balanced_tree=False, compact_nodes=True)
    if _foreseen_pairs(tree, points, eps, p) <= pairs_at_once:
        return _by_pairs(tree, len(own), weights, eps, min_points, p)
    is_core, nearest = _core_by_nearest(tree, own, weights, eps, min_points, p)
    return _by_groups(own, halo, is_core, nearest, eps, p)


def _foreseen_pairs(tree: cKDTree, points: Floats, eps: float, p: float) -> float:
    probes = points[:: max(1, len(points) // PROBES)]
    if not len(probes):
        return 0.0
    return float(np.mean(tree.query_ball_point(probes, eps, p=p, return_length=True))) * len(points) / 2


def _by_pairs(tree: cKDTree, n_own: int, weights: Floats, eps: float, min_points: float, p: float) -> Found:
    i, j = tree.query_pairs(eps, p=p, output_type="ndarray").T
    mass = weights + np.bincount(i, weights[j], len(weights)) + np.bincount(j, weights[i], len(weights))
    is_core = mass[:n_own] >= min_points
    # query_pairs gives i < j, and own points come first.
    inside = j < n_own
    a, b = i[inside], j[inside]
    linked = is_core[a] & is_core[b]
    group = _groups(is_core, a[linked], b[linked])
    across = (i < n_own) & ~inside
    a, b = i[across], j[across]
    claimed, by = b[is_core[a]] - n_own, group[a[is_core[a]]]
    return Found(is_core, group, *_distinct(claimed, by))


def _groups(is_core: Flags, a: Ints, b: Ints) -> Ints:
    """The connected components of the core points under the links a-b; -1 for others."""
    core = np.flatnonzero(is_core)
    place = np.full(len(is_core), -1)
    place[core] = np.arange(len(core))
    links = coo_array((np.ones(len(a), dtype=np.int8), (place[a], place[b])), shape=(len(core), len(core)))
    group = np.full(len(is_core), -1, dtype=np.int64)
    group[core] = connected_components(links, directed=False)[1] if len(core) else 0
    return group


def _distinct(claimed: Ints, by: Ints) -> tuple[Ints, Ints]:
    order = np.lexsort((by, claimed))
    claimed, by = claimed[order], by[order]
    keep = np.r_[True, (claimed[1:] != claimed[:-1]) | (by[1:] != by[:-1])][: len(claimed)]
    return claimed[keep], by[keep]


def _core_by_nearest(
    tree: cKDTree, own: Floats, weights: Floats, eps: float, min_points: float, p: float
) -> tuple[Flags, tuple[Ints, Ints]]:
    """Which own points are core, and links between own points within eps, found on the way."""
    k = min(max(int(np.ceil(min_points)), 8), len(weights))
    padded = np.r_[weights, 0.0]
    is_core, a, b = np.empty(len(own), dtype=bool), [], []
    for part in pieces(len(own), max(1, QUERIES_AT_ONCE // k)):
        # The bound of scipy's search is open; eps itself belongs to the neighbourhood.
        distance, index = tree.query(own[part], k=np.arange(1, k + 1), p=p, distance_upper_bound=eps * (1 + 1e-9))
        index = np.where(distance <= eps, index, len(weights))
        is_core[part] = padded[index].sum(axis=1) >= min_points
        rows, cols = np.nonzero(index < len(own))
        a.append(rows + part.start)
        b.append(index[rows, cols])
    links = (np.concatenate(a), np.concatenate(b)) if a else (np.empty(0, dtype=np.int64),) * 2
    return is_core, links


def _by_groups(own: Floats, halo: Floats, is_core: Flags, nearest: tuple[Ints, Ints], eps: float, p: float) -> Found:
    a, b = nearest
    linked = is_core[a] & is_core[b]
    core = np.flatnonzero(is_core)
    c, d = _same_square(own, core, eps, p)
    group = _groups(is_core, np.r_[a[linked], c], np.r_[b[linked], d])
    group = _joined(own, core, group, eps, p)
    claims = [
        (np.full(1, -1), np.full(1, -1)),  # so that there is something to concatenate
        *((touched, np.full(len(touched), g)) for g, touched in _touched(own, core, group, halo, None, eps, p)),
    ]
    claimed, by = (np.concatenate(side)[1:] for side in zip(*claims, strict=True))
    return Found(is_core, group, claimed, by)


def _same_square(own: Floats, core: Ints, eps: float, p: float) -> tuple[Ints, Ints]:
    """Links between core points of the same square, whose diagonal is at most eps."""
    width = own.shape[1]
    if width > SQUARES_UP_TO or not len(core):
        return core[:0], core[:0]
    side = eps / width ** (0.0 if np.isinf(p) else 1 / p) * (1 - 1e-9)
    square = np.floor(own[core] / side)
    order = np.lexsort(square.T)
    same = (square[order][1:] == square[order][:-1]).all(axis=1)
    return core[order[:-1][same]], core[order[1:][same]]


def _joined(own: Floats, core: Ints, group: Ints, eps: float, p: float) -> Ints:
    """Groups that have core points within eps of each other made one."""
    if not len(core):
        return group
    pairs = [
        np.stack([np.full(len(others), g), others])
        for g, touched in _touched(own, core, group, own[core], group[core], eps, p)
        for others in [np.unique(group[core][touched])]
    ]
    if not pairs:
        return group
    a, b = np.concatenate(pairs, axis=1)
    n = int(group.max()) + 1
    links = coo_array((np.ones(len(a), dtype=np.int8), (a, b)), shape=(n, n))
    merged = connected_components(links, directed=False)[1].astype(np.int64)  # scipy gives 32 bits
    return np.where(group >= 0, merged[group], -1)


def _touched(
    own: Floats, core: Ints, group: Ints, others: Floats, their_group: Ints | None, eps: float, p: float
) -> Iterator[tuple[int, Ints]]:
    """(group, rows of `others` within eps of its core points), for each group; of its own rows none.

    Between groups (`their_group` given) the largest is left out: every pair is seen from its other side.
    """
    axis = int(np.argmax(np.ptp(own[core], axis=0))) if len(core) else 0
    order = np.argsort(others[:, axis], kind="stable")
    along = others[order, axis]
    sizes = np.bincount(group[core]) if len(core) else np.empty(0, dtype=np.int64)
    by_group = np.split(core[np.argsort(group[core], kind="stable")], np.cumsum(sizes)[:-1])
    largest = int(np.argmax(sizes)) if their_group is not None and len(sizes) else -1
    wide = eps * (1 + 1e-9)
    for g, members in enumerate(by_group):
        if g == largest or not len(members):
            continue
        low, high = own[members].min(axis=0) - wide, own[members].max(axis=0) + wide
        near = order[np.searchsorted(along, low[axis], "left") : np.searchsorted(along, high[axis], "right")]
        if their_group is not None:
            near = near[their_group[near] != g]
        near = near[((others[near] >= low) & (others[near] <= high)).all(axis=1)]
        if len(near):
            tree = cKDTree(own[members], balanced_tree=False)
            distance, _ = tree.query(others[near], k=1, p=p, distance_upper_bound=wide)
            touched = near[distance <= eps]
            if len(touched):
                yield g, touched
