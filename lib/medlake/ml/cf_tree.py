"""Clustering features: what a CF-tree keeps of its points, made by scikit-learn's tree. NumPy only, no Spark job.

A feature is (mass, sum of the points, sum of their squared lengths): features of disjoint points add up, so
trees of partitions can be merged. Source: Zhang, Ramakrishnan, Livny 1996.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from sklearn.cluster import AgglomerativeClustering, Birch, KMeans

from medlake.ml.blocks import Floats, Ints, pieces
from medlake.ml.nearest import nearest_centre

STEP = 5_000  # points between two looks at the number of subclusters
GROWTH = 1.2  # by which the threshold is raised when there are too many (the paper leaves the factor open)


@dataclass(frozen=True)
class Features:
    """Subclusters: mass, linear sum, sum of squared lengths; and the threshold they were made with."""

    mass: Floats
    linear: Floats
    squares: Floats
    threshold: float

    @property
    def centres(self) -> Floats:
        centres: Floats = self.linear / self.mass[:, None]
        return centres


def features_of(parts: Iterable[Floats], *, threshold: float, branching: int, most: int) -> Features | None:
    """The subclusters of points that come in parts: at most `most`, for which the threshold is raised as needed.

    None where there are no points.
    """
    tree, kept = _tree(threshold, branching), None
    for points in (part[s] for part in parts for s in pieces(len(part), STEP)):
        tree.partial_fit(points)
        n_kept = 0 if kept is None else len(kept.mass)
        if len(tree.subcluster_centers_) + n_kept > most:
            # What is in the tree is summed up and the tree begins anew: sums can be merged, a tree cannot shrink.
            kept = reduced(_joined(kept, _read(tree, threshold)), branching=branching, most=most * 3 // 4)
            threshold = kept.threshold
            tree = _tree(threshold, branching)
    here = _read(tree, threshold) if hasattr(tree, "root_") else None
    if here is None:
        return kept
    together = _joined(kept, here)
    return together if kept is None else reduced(together, branching=branching, most=most)


def _tree(threshold: float, branching: int) -> Birch:
    return Birch(threshold=threshold, branching_factor=branching, n_clusters=None, compute_labels=False)


def _read(tree: Birch, threshold: float) -> Features:
    """The subclusters in the leaves of a tree."""
    found, leaf = [], tree.dummy_leaf_.next_leaf_
    while leaf is not None:
        found += leaf.subclusters_
        leaf = leaf.next_leaf_
    return Features(
        np.array([s.n_samples_ for s in found], dtype=np.float64),
        np.array([s.linear_sum_ for s in found]),
        np.array([s.squared_sum_ for s in found]),
        threshold,
    )


def _joined(a: Features | None, b: Features) -> Features:
    if a is None:
        return b
    return Features(
        np.concatenate([a.mass, b.mass]),
        np.concatenate([a.linear, b.linear]),
        np.concatenate([a.squares, b.squares]),
        max(a.threshold, b.threshold),
    )


def reduced(known: Features, *, branching: int, most: int) -> Features:
    """Subclusters whose centres a tree puts together made one; the threshold is raised until they are `most`."""
    threshold = known.threshold
    while True:
        tree = _tree(threshold, branching).fit(known.centres)
        if len(tree.subcluster_centers_) <= most:
            break
        threshold *= GROWTH
    label, _ = nearest_centre(known.centres, tree.subcluster_centers_)
    found, place = np.unique(label, return_inverse=True)
    linear = np.zeros((len(found), known.linear.shape[1]))
    np.add.at(linear, place, known.linear)
    mass, squares = (np.bincount(place, v, len(found)).astype(np.float64) for v in (known.mass, known.squares))
    return Features(mass, linear, squares, threshold)


def grouped(known: Features, k: int | None, *, step: str, seed: int) -> Ints:
    """The group of each subcluster: by weighted K-means, or by Ward's clustering of the centres as scikit-learn does.

    None for k: every subcluster is a group. Groups are numbered from 0 by falling mass.
    """
    if k is None or k >= len(known.mass):
        label = np.arange(len(known.mass))
    elif step == "kmeans":
        model = KMeans(k, n_init=10, random_state=seed).fit(known.centres, sample_weight=known.mass)
        label = model.labels_.astype(np.int64)
    else:
        label = AgglomerativeClustering(k).fit_predict(known.centres).astype(np.int64)
    total = np.bincount(label, known.mass)
    rank = np.empty(len(total), dtype=np.int64)
    rank[np.lexsort((np.arange(len(total)), -total))] = np.arange(len(total))
    return rank[label]
