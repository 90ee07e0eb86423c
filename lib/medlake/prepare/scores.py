"""How much each column says about a label: scores and p values from sums, NumPy only. NaN where nothing can be said."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.special import chdtrc, fdtrc

from medlake.ml.blocks import Floats
from medlake.prepare.class_sums import ClassSums


def variance(sums: ClassSums) -> Floats:
    """Of the population; over the values that are there."""
    n, _, squares = sums.together()
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(squares / n)


def missing_share(sums: ClassSums) -> Floats:
    return np.asarray(1 - sums.n.sum(axis=0) / sums.n_rows.sum())


def anova(sums: ClassSums) -> tuple[Floats, Floats]:
    """(F, p) of the one-way analysis of variance between the classes: scikit-learn's f_classif."""
    n, mean, _ = sums.together()
    n_classes = (sums.n > 0).sum(axis=0)
    between = (sums.n * (sums.mean - mean) ** 2).sum(axis=0)
    within = sums.squares.sum(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        f = (between / (n_classes - 1)) / (within / (n - n_classes))
    f = np.where((between > 0) & (within >= 0) & (n_classes > 1), f, np.nan)
    return f, np.asarray(fdtrc(n_classes - 1, n - n_classes, f))


def chi2(sums: ClassSums) -> tuple[Floats, Floats]:
    """(chi², p) of a column's sum in each class against its share of the rows: scikit-learn's chi2, for counts."""
    observed = sums.n * sums.mean
    n = sums.n.sum(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        expected = sums.n / n * observed.sum(axis=0)
        parts = np.where(sums.n > 0, (observed - expected) ** 2 / expected, 0.0)
    score = np.where(observed.sum(axis=0) > 0, parts.sum(axis=0), np.nan)
    return score, np.asarray(chdtrc(len(sums.labels) - 1, score))


def mutual_information(tables: Sequence[Floats]) -> tuple[Floats, Floats]:
    """(nats, p) between a column's bins and the classes; p by the G test, 2 n times the information being chi²."""
    score, p = np.full(len(tables), np.nan), np.full(len(tables), np.nan)
    for i, table in enumerate(tables):
        full = table[table.sum(axis=1) > 0][:, table.sum(axis=0) > 0]
        n = full.sum()
        df = (full.shape[0] - 1) * (full.shape[1] - 1)
        if not full.size or not df:
            continue
        expected = full.sum(axis=1, keepdims=True) * full.sum(axis=0, keepdims=True) / n
        with np.errstate(divide="ignore", invalid="ignore"):
            parts = np.where(full > 0, full * np.log(full / expected), 0.0)
        score[i] = max(parts.sum() / n, 0.0)
        p[i] = float(chdtrc(df, 2 * n * score[i]))
    return score, p


def first_of_alike(r: Floats, threshold: float) -> tuple[list[bool], Floats]:
    """(kept?, largest |r| with a kept column before it): a column goes where one before it, kept, is too much alike."""
    kept: list[bool] = []
    highest = np.zeros(len(r))
    for i in range(len(r)):
        before = [abs(r[i, j]) for j in range(i) if kept[j] and np.isfinite(r[i, j])]
        highest[i] = max(before, default=0.0)
        kept.append(highest[i] <= threshold)
    return kept, highest
