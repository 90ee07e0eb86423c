"""Figures of merit of a set of risks, in NumPy.

Every function takes arrays of the distinct risks in ascending order and, for each, how many patients had it
with (`positive`) and without (`negative`) the outcome; counts may be fractions, as bootstrap weights are.
A figure that is not defined is nan.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
THRESHOLD = 0.5  # of the accuracy
NEWTON_STEPS = 50
EDGE = 1e-6  # risks are kept this far from 0 and 1 on the logit scale: they have six decimals


def auroc(risk: Array, positive: Array, negative: Array) -> float:
    """Area under the ROC curve: chance that a positive has the higher risk, ties count half."""
    pairs = positive.sum() * negative.sum()
    below = np.cumsum(negative) - negative
    return float((positive * (below + negative / 2)).sum() / pairs) if pairs > 0 else float("nan")


def auprc(risk: Array, positive: Array, negative: Array) -> float:
    """Average precision: precision at each risk as threshold, weighted by the recall it adds."""
    if positive.sum() <= 0:
        return float("nan")
    above = np.cumsum(positive[::-1])
    chosen = np.cumsum((positive + negative)[::-1])
    precision = np.divide(above, chosen, out=np.ones_like(above), where=chosen > 0)
    return float((precision * positive[::-1]).sum() / positive.sum())


def accuracy(risk: Array, positive: Array, negative: Array) -> float:
    """Share of right answers where a risk of at least one half means yes."""
    right = np.where(risk >= THRESHOLD, positive, negative).sum()
    total = (positive + negative).sum()
    return float(right / total) if total > 0 else float("nan")


def brier(risk: Array, positive: Array, negative: Array) -> float:
    """Mean squared difference between risk and outcome."""
    total = (positive + negative).sum()
    squares = positive * (1 - risk) ** 2 + negative * risk**2
    return float(squares.sum() / total) if total > 0 else float("nan")


def recalibration(risk: Array, positive: Array, negative: Array) -> tuple[float, float]:
    """Slope and intercept of a logistic regression of the outcome on the logit of the risk (Cox 1958).

    1 and 0: well calibrated. A slope below 1: risks too extreme. By Newton's method; nan where it has no
    solution (one outcome, one risk, or outcomes that the risk separates).
    """
    total = positive + negative
    if positive.sum() <= 0 or negative.sum() <= 0:
        return float("nan"), float("nan")
    clipped = np.clip(risk, EDGE, 1 - EDGE)
    x = np.log(clipped / (1 - clipped))
    slope, intercept = 1.0, 0.0
    for _ in range(NEWTON_STEPS):
        expected = 1 / (1 + np.exp(-np.clip(intercept + slope * x, -500, 500)))
        spread = total * expected * (1 - expected)
        gradient = np.array([(positive - total * expected).sum(), ((positive - total * expected) * x).sum()])
        hessian = np.array([[spread.sum(), (spread * x).sum()], [(spread * x).sum(), (spread * x * x).sum()]])
        if not np.isfinite(hessian).all() or np.linalg.cond(hessian) > 1e14:
            return float("nan"), float("nan")
        step = np.linalg.solve(hessian, gradient)
        # The likelihood is concave: short steps arrive, long ones may not.
        step *= min(1.0, 2.0 / max(float(np.abs(step).max()), EDGE))
        intercept, slope = intercept + float(step[0]), slope + float(step[1])
        if np.abs(step).max() < 1e-12:
            return slope, intercept
    return (slope, intercept) if np.abs(step).max() < EDGE else (float("nan"), float("nan"))


METRICS: dict[str, Callable[[Array, Array, Array], float]] = {
    "auroc": auroc,
    "auprc": auprc,
    "accuracy": accuracy,
    "brier": brier,
    "calibration_slope": lambda r, p, n: recalibration(r, p, n)[0],
    "calibration_intercept": lambda r, p, n: recalibration(r, p, n)[1],
}


def bootstrap(
    person: NDArray[np.int64], risk: Array, outcome: Array, *, n_replicates: int, seed: int
) -> dict[str, tuple[float, float]]:
    """2.5th and 97.5th percentile of each metric over replicates in which whole patients are drawn again.

    A patient's weight is Poisson(1) in each replicate (Chamandy et al. 2012), drawn in the order of the ids:
    the same patients give the same interval in any order. Replicates without a figure are left out.
    """
    people, place = np.unique(person, return_inverse=True)
    distinct, level = np.unique(risk, return_inverse=True)
    draw = np.random.default_rng(seed)
    figures: dict[str, list[float]] = {name: [] for name in METRICS}
    for _ in range(n_replicates):
        weight = draw.poisson(1.0, len(people)).astype(np.float64)[place]
        positive: Array = np.bincount(level, weight * outcome, len(distinct)).astype(np.float64)
        negative: Array = np.bincount(level, weight * (1 - outcome), len(distinct)).astype(np.float64)
        for name in ("auroc", "auprc", "accuracy", "brier"):
            figures[name].append(METRICS[name](distinct, positive, negative))
        slope, intercept = recalibration(distinct, positive, negative)
        figures["calibration_slope"].append(slope)
        figures["calibration_intercept"].append(intercept)
    return {name: _interval(values) for name, values in figures.items()}


def _interval(values: list[float]) -> tuple[float, float]:
    known = [v for v in values if np.isfinite(v)]
    if not known:
        return float("nan"), float("nan")
    lower, upper = np.percentile(known, [2.5, 97.5])
    return float(lower), float(upper)


def roc_points(positive: Array, negative: Array) -> tuple[Array, Array]:
    """False and true positive rates as the threshold falls, from (0, 0) to (1, 1)."""
    x = np.concatenate([[0.0], np.cumsum(negative[::-1]) / negative.sum()])
    y = np.concatenate([[0.0], np.cumsum(positive[::-1]) / positive.sum()])
    return x, y


def pr_points(positive: Array, negative: Array) -> tuple[Array, Array]:
    """Recall and precision as the threshold falls; starts at recall 0 with the first precision."""
    found = np.cumsum(positive[::-1])
    precision = found / np.cumsum((positive + negative)[::-1])
    recall = found / positive.sum()
    return np.concatenate([[0.0], recall]), np.concatenate([precision[:1], precision])


def thinned(x: Array, y: Array, n_points: int) -> tuple[Array, Array]:
    """At most `n_points` points of a curve, both ends among them, evenly spread along its length."""
    if len(x) <= n_points:
        return x, y
    length = np.concatenate([[0.0], np.cumsum(np.hypot(np.diff(x), np.diff(y)))])
    nearest = np.searchsorted(length, np.linspace(0, length[-1], n_points), side="left").clip(0, len(x) - 1)
    kept = np.unique(np.concatenate([[0], nearest[1:-1], [len(x) - 1]]))
    return x[kept], y[kept]
