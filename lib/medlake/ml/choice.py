"""How many groups: K-means for several k, with what speaks for each. It runs Spark jobs; rows stay in their tasks.

Silhouette (Rousseeuw 1987, of squared distances as MLlib's), Davies-Bouldin (1979), Calinski-Harabasz (1974), the
gap statistic (Tibshirani 2001), and stability: the groups of bootstrap resamples (Hennig 2007) and of two halves.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from pyspark.sql import DataFrame, SparkSession
from sklearn.cluster import KMeans as OneMachine

from medlake.ml.blocks import Floats, as_blocks, batch_of
from medlake.ml.kmeans import SAMPLE, by_size, tolerance
from medlake.ml.lloyd import Fitted, Resample, crossed, lloyd, starts, summed
from medlake.ml.nearest import nearest_centre
from medlake.ml.survey import Survey, surveyed

VALID = 0.75  # mean Jaccard from which Hennig calls a group valid
GAP_POINTS = 2_000  # size of the sample, and of each reference drawn like it, that the gap is taken on


@dataclass(frozen=True)
class Tried:
    """One k. sizes, jaccard: per group, largest first; jaccard: mean over resamples of the best match of the group.

    agreement: mean adjusted Rand index between the groups of all rows and those of resamples; halves: between those
    learned on two halves of the rows, both asked about all rows. gap, gap_error: None where it was not asked for.
    """

    k: int
    centres: Floats
    inertia: float
    sizes: tuple[int, ...]
    silhouette: float
    davies_bouldin: float
    calinski_harabasz: float
    agreement: float
    jaccard: tuple[float, ...]
    halves: float
    gap: float | None = None
    gap_error: float | None = None


def tried(
    dataset: DataFrame, ks: Sequence[int], *, features: str = "features", seed: int = 0,
    n_resamples: int = 10, n_references: int = 0, max_iter: int = 100, tol: float = 1e-4,
) -> list[Tried]:  # fmt: skip
    """K-means for each k in `ks` (below the number of distinct rows), with its figures.

    n_references: reference sets for the gap statistic; 0 leaves it out. Equal rows are drawn together by resamples.
    """
    survey = surveyed(dataset, features, size=SAMPLE, seed=seed)
    blocks = as_blocks(dataset, features).localCheckpoint()
    ks = [k for k in ks if 1 < k < len(survey.sample)]
    gaps = _gaps(dataset.sparkSession, survey, ks, n_references, seed)
    limit = tolerance(survey, tol)
    return [_one(blocks, survey, k, n_resamples, seed, max_iter, limit, gaps.get(k, (None, None))) for k in ks]


def _one(
    blocks: DataFrame, survey: Survey, k: int, n_resamples: int, seed: int, max_iter: int, limit: float,
    gap: tuple[float | None, float | None],
) -> Tried:  # fmt: skip
    resamples = [*(Resample(seed + 1 + i) for i in range(n_resamples)), Resample(seed, 0), Resample(seed, 1)]
    begins = [starts(survey.sample, survey.weight, k, n_tried=10, n_kept=2, seed=seed)]
    for resample in resamples:
        drawn = survey.weight * resample.weights(survey.sample)
        if (drawn > 0).sum() < k:  # of so few distinct points a resample may have fewer than k: it begins as all do
            drawn = survey.weight
        begins.append(starts(survey.sample, drawn, k, n_tried=3, n_kept=1, seed=seed))
    ends = lloyd(
        blocks, np.concatenate(begins), max_iter=max_iter, tolerance=limit, resamples=[None, None, *resamples]
    )
    best = by_size(min(ends[:2], key=lambda one: one.inertia))
    others = np.stack([end.centres for end in ends[2:]])
    cells = crossed(blocks, best.centres, others)
    of_halves = crossed(blocks, others[-2], others[-1:])[0]
    silhouette, davies_bouldin, calinski_harabasz = indices(blocks, best)
    return Tried(
        k=k, centres=best.centres, inertia=best.inertia, sizes=tuple(round(m) for m in best.mass),
        silhouette=silhouette, davies_bouldin=davies_bouldin, calinski_harabasz=calinski_harabasz,
        agreement=float(np.mean([adjusted_rand_of(c) for c in cells[:-2]])) if n_resamples else 1.0,
        jaccard=tuple(np.mean([best_jaccard(c) for c in cells[:-2]], axis=0).tolist()) if n_resamples else (1.0,) * k,
        halves=adjusted_rand_of(of_halves), gap=gap[0], gap_error=gap[1],
    )  # fmt: skip


def adjusted_rand_of(cells: Floats) -> float:
    """The adjusted Rand index (Hubert and Arabie 1985) of two groupings from their cross table."""

    def pairs(n: Floats) -> float:
        return float((n * (n - 1) / 2).sum())

    together, a, b = pairs(cells), pairs(cells.sum(axis=1)), pairs(cells.sum(axis=0))
    expected = a * b / max(pairs(cells.sum(keepdims=True)), 1e-300)
    most = (a + b) / 2
    return 1.0 if most == expected else (together - expected) / (most - expected)


def best_jaccard(cells: Floats) -> Floats:
    """For each group of the rows of a cross table: shared over united with its best match among the columns."""
    united = cells.sum(axis=1, keepdims=True) + cells.sum(axis=0, keepdims=True) - cells
    best: Floats = (cells / np.maximum(united, 1e-300)).max(axis=1)
    return best


def indices(blocks: DataFrame, fitted: Fitted) -> tuple[float, float, float]:
    """(silhouette of squared distances, Davies-Bouldin, Calinski-Harabasz) of groups around centres, in two passes."""
    centres = fitted.centres
    k, width = centres.shape
    middle = centres.mean(axis=0)

    def gather(points: Floats, weight: Floats) -> Floats:
        label, square = nearest_centre(points, centres)
        member = np.zeros((k, len(points)))
        member[label, np.arange(len(points))] = weight
        here = points - middle
        sums: Floats = member @ np.c_[here, np.ones(len(points)), (here**2).sum(axis=1), np.sqrt(square)]
        return sums

    total = summed(blocks, width, gather).reshape(k, width + 3)
    mass = np.maximum(total[:, width], 1e-300)
    mean, squares = total[:, :width] / mass[:, None], total[:, width + 1] / mass

    def score(points: Floats, weight: Floats) -> Floats:
        label, _ = nearest_centre(points, centres)
        here, rows = points - middle, np.arange(len(points))
        away = np.maximum((here**2).sum(axis=1)[:, None] + squares - 2 * here @ mean.T, 0.0)
        # A point is no company to itself: its own group's mean is over the others.
        inside = away[rows, label] * mass[label] / np.maximum(mass[label] - 1, 1e-300)
        away[rows, label] = np.inf
        outside = away.min(axis=1)
        width_of = (outside - inside) / np.maximum(np.maximum(inside, outside), 1e-300)
        return np.array([(weight * np.where(mass[label] > 1, width_of, 0.0)).sum()])

    n = float(mass.sum())
    silhouette = float(summed(blocks, width, score)[0]) / n
    spread = total[:, width + 2] / mass
    apart = np.sqrt(((mean[:, None] - mean[None]) ** 2).sum(axis=2)) + np.where(np.eye(k) > 0, np.inf, 0.0)
    davies_bouldin = float(((spread[:, None] + spread[None]) / apart).max(axis=1).mean())
    within = float((mass * (squares - (mean**2).sum(axis=1))).sum())
    overall = (mass[:, None] * mean).sum(axis=0) / n
    between = float((mass * ((mean - overall) ** 2).sum(axis=1)).sum())
    return silhouette, davies_bouldin, (between / (k - 1)) / max(within / (n - k), 1e-300)


def _gaps(
    spark: SparkSession, survey: Survey, ks: Sequence[int], n_references: int, seed: int
) -> dict[int, tuple[float, float]]:
    """k → (gap, its standard error): how much tighter the sample's groups are than those of featureless points.

    The references are uniform in the box of the sample's principal components (the paper's variant b), of the same
    size as the sample, which has at most GAP_POINTS points; each reference is grouped in a task of its own.
    """
    if n_references < 2:
        return {}
    draw = np.random.default_rng(seed)
    share = survey.weight / survey.weight.sum()
    points = survey.sample[draw.choice(len(share), min(GAP_POINTS, survey.n), p=share)]
    centred = points - points.mean(axis=0)
    _, _, turn = np.linalg.svd(centred, full_matrices=False)
    turned = centred @ turn.T
    low, high = turned.min(axis=0), turned.max(axis=0)

    def group(batches: Any) -> Any:
        for batch in batches:
            for b in batch.column(0).to_pylist():
                own = np.random.default_rng([seed, b])
                here = turned if b == 0 else own.uniform(low, high, turned.shape)
                logs = [np.log(OneMachine(k, n_init=3, random_state=seed).fit(here).inertia_) for k in ks]
                yield batch_of("b bigint, logs array<double>", [(b, [float(v) for v in logs])])

    numbers = spark.range(0, n_references + 1, 1, n_references + 1)
    rows = sorted(numbers.mapInArrow(group, "b bigint, logs array<double>").collect())
    observed, expected = np.array(rows[0]["logs"]), np.array([r["logs"] for r in rows[1:]])
    gap, error = expected.mean(axis=0) - observed, expected.std(axis=0) * np.sqrt(1 + 1 / n_references)
    return {k: (float(g), float(e)) for k, g, e in zip(ks, gap, error, strict=True)}


def best_k(found: Sequence[Tried], *, by: str = "silhouette") -> int:
    """The k that a criterion names; ties: the smallest.

    silhouette: the highest. gap: the smallest k whose gap is at least that of the next k less its error, else the
    highest gap. stability: the largest k all of whose groups have a mean Jaccard of at least VALID, else the k with
    the best agreement.

    Raises:
        ValueError: no k was tried, the criterion is unknown, or gaps were not asked for.
    """
    if not found:
        raise ValueError("no k was tried")
    if by == "silhouette":
        return max(found, key=lambda one: (one.silhouette, -one.k)).k
    if by == "stability":
        valid = [one.k for one in found if min(one.jaccard) >= VALID]
        return max(valid) if valid else max(found, key=lambda one: (one.agreement, -one.k)).k
    if by != "gap" or any(one.gap is None for one in found):
        raise ValueError(f"k can be chosen by silhouette, stability or (with n_references) gap, not by {by!r}")
    inner = pairwise(found)
    enough = [a.k for a, b in inner if (a.gap or 0.0) >= (b.gap or 0.0) - (b.gap_error or 0.0)]
    return enough[0] if enough else max(found, key=lambda one: (one.gap or 0.0, -one.k)).k
