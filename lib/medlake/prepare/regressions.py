"""Linear regressions from sums of products, and their chain: NumPy only.

A regression of one column on the others needs nothing but the count, the sums and the matrix Z'Z of the rows that
have the column, Z being all columns. Sources: van Buuren and Groothuis-Oudshoorn 2011 (MICE); MacKay 1992 and
scikit-learn's BayesianRidge for the choice of the penalty.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import ndtr, ndtri

from medlake.ml.blocks import Floats, hashed

GAMMA = 1e-6  # of both gamma priors: scikit-learn's default
MAX_ROUNDS, TOLERANCE = 300, 1e-3  # of the search for the penalty: likewise


@dataclass(frozen=True)
class Sums:
    """Count, sums and products of rows of Z, all columns of the data less a fixed centre."""

    n: float
    total: Floats
    products: Floats

    @staticmethod
    def of(z: Floats) -> Sums:
        return Sums(float(len(z)), z.sum(axis=0), z.T @ z)

    def __add__(self, other: Sums) -> Sums:
        return Sums(self.n + other.n, self.total + other.total, self.products + other.products)


@dataclass(frozen=True)
class Step:
    """Column `target` = intercept + Σ weights · columns (that of the target is 0).

    spread_0 + z' spread z, z being the columns less `middle`, is the variance of a prediction.
    """

    target: int
    intercept: float
    weights: Floats
    spread_0: float
    middle: Floats
    spread: Floats | None

    def as_json(self) -> list[Any]:
        spread = None if self.spread is None else self.spread.tolist()
        return [self.target, self.intercept, self.weights.tolist(), self.spread_0, self.middle.tolist(), spread]

    @staticmethod
    def from_json(told: list[Any]) -> Step:
        spread = None if told[5] is None else np.array(told[5])
        return Step(told[0], told[1], np.array(told[2]), told[3], np.array(told[4]), spread)


def regression(sums: Sums, centre: Floats, target: int, *, bayesian: bool, keeps_spread: bool) -> Step:
    """The regression of one column on all others."""
    others = np.flatnonzero(np.arange(len(centre)) != target)
    n = max(sums.n, 1.0)
    mean = sums.total / n
    centred = sums.products - n * np.outer(mean, mean)
    xx, xy, yy = centred[np.ix_(others, others)], centred[others, target], float(centred[target, target])
    values, vectors = np.linalg.eigh(xx)
    values = np.maximum(values, 0.0)
    found, alpha, penalty = (_bayesian if bayesian else _least_squares)(xx, xy, yy, n, values, vectors)
    weights = np.zeros(len(centre))
    weights[others] = found
    middle = centre + mean
    spread = None
    if keeps_spread:
        spread = np.zeros_like(centred)
        inner = alpha * values + penalty
        inner = np.where(inner > 0, inner, np.inf)  # a direction that the rows do not show has no say
        spread[np.ix_(others, others)] = (vectors / inner) @ vectors.T
    return Step(target, float(middle[target] - weights @ middle), weights, 1 / alpha, middle, spread)


def _least_squares(
    xx: Floats, xy: Floats, yy: float, n: float, values: Floats, vectors: Floats
) -> tuple[Floats, float, float]:
    """(weights, precision of the noise, 0): the shortest of the best, as LAPACK's least squares gives it."""
    cut = values.max(initial=0.0) * len(values) * np.finfo(float).eps
    kept = values > cut
    weights = vectors[:, kept] @ ((vectors[:, kept].T @ xy) / values[kept])
    error = max(yy - 2 * float(weights @ xy) + float(weights @ xx @ weights), 0.0)
    return weights, max(n - int(kept.sum()) - 1, 1.0) / max(error, np.finfo(float).tiny), 0.0


def _bayesian(
    xx: Floats, xy: Floats, yy: float, n: float, values: Floats, vectors: Floats
) -> tuple[Floats, float, float]:
    """(weights, precision of the noise, precision of the weights) by maximal evidence."""
    alpha, penalty = float(1.0 / (yy / n + np.finfo(float).eps)), 1.0
    turned = vectors.T @ xy
    before: Floats | None = None

    def best() -> tuple[Floats, float]:
        weights = vectors @ (turned / (values + penalty / alpha))
        return weights, max(yy - 2 * float(weights @ xy) + float(weights @ xx @ weights), 0.0)

    for _ in range(MAX_ROUNDS):
        weights, error = best()
        gamma = float((alpha * values / (penalty + alpha * values)).sum())
        penalty = (gamma + 2 * GAMMA) / (float((weights**2).sum()) + 2 * GAMMA)
        alpha = (n - gamma + 2 * GAMMA) / (error + 2 * GAMMA)
        if before is not None and float(np.abs(before - weights).sum()) < TOLERANCE:
            break
        before = weights
    return best()[0], alpha, penalty


@dataclass(frozen=True)
class Limits:
    """The smallest and largest value that each column may be given; the seed of draws, None for none."""

    low: Floats
    high: Floats
    seed: int | None = None


def chained(points: Floats, filled: Floats, steps: Sequence[Step], limits: Limits, *, first: int = 0) -> Floats:
    """`filled` after the steps, one after the other: each writes its column where `points` miss it.

    With a seed a value is drawn from its predicted normal distribution, cut at the limits. The draw hangs on the
    row's own numbers and the step's number (`first` is that of the first step), never on the order of rows.
    """
    filled = filled.copy()
    for number, step in enumerate(steps, start=first):
        rows = np.flatnonzero(~np.isfinite(points[:, step.target]))
        if not len(rows):
            continue
        seen = filled[rows]
        value = step.intercept + seen @ step.weights
        low, high = limits.low[step.target], limits.high[step.target]
        if limits.seed is not None and step.spread is not None:
            about = seen - step.middle
            sd = np.sqrt(step.spread_0 + np.einsum("ij,jk,ik->i", about, step.spread, about))
            below, above = ndtr((low - value) / sd), ndtr((high - value) / sd)
            uniform = (hashed(points[rows], limits.seed * 1_000_003 + number) >> np.uint64(11)) * 2.0**-53 + 2.0**-54
            drawn = value + sd * ndtri(below + uniform * (above - below))
            value = np.where(np.isfinite(drawn), drawn, value)
        filled[rows, step.target] = np.clip(value, low, high)
    return filled
