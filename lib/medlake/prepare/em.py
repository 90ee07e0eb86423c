"""Mean and covariance of normal data with missing values, from sums per pattern: NumPy only.

Sources: Dempster, Laird and Rubin 1977; Little and Rubin, Statistical Analysis with Missing Data, 11.2.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from medlake.ml.blocks import Flags, Floats

MAX_ITERATIONS, TOLERANCE = 5_000, 1e-9  # of the largest change, in standard deviations


@dataclass(frozen=True)
class PatternSums:
    """The rows of one pattern: which columns they have, how many they are, sums and products (0 where missing)."""

    has: Flags
    n: float
    total: Floats
    products: Floats


def maximum_likelihood(patterns: Sequence[PatternSums]) -> tuple[Floats, Floats, int]:
    """(mean, covariance divided by n, iterations) by EM.

    Raises:
        ValueError: EM did not come to rest, as where two columns never meet.
    """
    n = np.sum([p.n * p.has for p in patterns], axis=0)
    mean = np.sum([p.total for p in patterns], axis=0) / n
    spread = np.sum([np.diag(p.products) for p in patterns], axis=0) / n - mean**2
    sd = np.sqrt(np.maximum(spread, np.finfo(float).tiny))
    scaled = [PatternSums(p.has, p.n, p.total / sd, p.products / np.outer(sd, sd)) for p in patterns]
    mean, covariance = mean / sd, np.diag(spread / sd**2)
    for step in range(1, MAX_ITERATIONS + 1):
        new_mean, new_covariance = _iteration(scaled, mean, covariance)
        change = max(np.abs(new_mean - mean).max(), np.abs(new_covariance - covariance).max())
        mean, covariance = new_mean, new_covariance
        if change < TOLERANCE:
            return mean * sd, covariance * np.outer(sd, sd), step
    raise ValueError(f"EM did not come to rest in {MAX_ITERATIONS} rounds: leave out columns that rarely meet others")


def _iteration(patterns: Sequence[PatternSums], mean: Floats, covariance: Floats) -> tuple[Floats, Floats]:
    total, products, n = np.zeros_like(mean), np.zeros_like(covariance), 0.0
    for p in patterns:
        o, m = np.flatnonzero(p.has), np.flatnonzero(~p.has)
        sums, both = p.total.copy(), p.products.copy()
        if len(m):
            slope = np.linalg.lstsq(covariance[np.ix_(o, o)], covariance[np.ix_(o, m)], rcond=None)[0]
            shift = mean[m] - mean[o] @ slope
            sums[m] = p.n * shift + p.total[o] @ slope
            cross = np.outer(p.total[o], shift) + p.products[np.ix_(o, o)] @ slope
            both[np.ix_(o, m)], both[np.ix_(m, o)] = cross, cross.T
            left = covariance[np.ix_(m, m)] - covariance[np.ix_(m, o)] @ slope
            both[np.ix_(m, m)] = p.n * left + np.outer(shift, sums[m]) + slope.T @ cross
        total, products, n = total + sums, products + both, n + p.n
    new = total / n
    covariance = products / n - np.outer(new, new)
    return new, (covariance + covariance.T) / 2


def little(patterns: Sequence[PatternSums], mean: Floats, covariance: Floats) -> tuple[float, int]:
    """(d², degrees of freedom) of Little's test: how far the means of each pattern are from those of all."""
    square, df = 0.0, -len(mean)
    for p in patterns:
        o = np.flatnonzero(p.has)
        away = p.total[o] / p.n - mean[o]
        square += p.n * float(away @ np.linalg.lstsq(covariance[np.ix_(o, o)], away, rcond=None)[0])
        df += len(o)
    return square, df
