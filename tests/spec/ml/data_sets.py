"""Data sets that density clustering has to get right: shapes, duplicates, blobs, chains, and real vectors."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from sklearn.datasets import (
    load_breast_cancer,
    load_diabetes,
    load_iris,
    load_wine,
    make_blobs,
    make_circles,
    make_moons,
    make_swiss_roll,
)
from sklearn.preprocessing import StandardScaler


@dataclass(frozen=True)
class DataSet:
    """Points and the neighbourhood they are looked at with."""

    points: np.ndarray
    eps: float
    min_samples: int
    metric: str = "euclidean"


def _scaled(points: np.ndarray) -> np.ndarray:
    return StandardScaler().fit_transform(points)


def _draw(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


def _blobs(n: int, width: int, seed: int) -> np.ndarray:
    return make_blobs(n, n_features=width, centers=5, random_state=seed)[0]


def _chain() -> np.ndarray:
    """One long winding line, thinner than any cell, with gaps in three places and noise around."""
    t = np.sort(_draw(3).uniform(0, 60, 2500))
    t = t[(np.abs(t - 15) > 0.3) & (np.abs(t - 30) > 0.3) & (np.abs(t - 45) > 0.3)]
    return np.vstack([np.c_[t, np.sin(t), np.cos(t / 2)], _draw(4).uniform([0, -3, -3], [60, 3, 3], (150, 3))])


def _duplicates() -> np.ndarray:
    """Few values, each many times, one of them 600 times; a lattice on which many distances are eps exactly."""
    lattice = _draw(5).integers(0, 14, (900, 2)).astype(float)
    return np.vstack([lattice, np.tile([[3.0, 3.0]], (600, 1)), [[-0.0, 50.0], [0.0, 50.0], [0.0, 50.0], [90.0, 9.0]]])


def _one_dense_blob() -> np.ndarray:
    """Half the points within a hundredth of eps, beside a thin ring and noise."""
    draw = _draw(6)
    angle = draw.uniform(0, 2 * np.pi, 600)
    ring = np.c_[np.cos(angle), np.sin(angle)] * 2 + draw.normal(0, 0.02, (600, 2))
    return np.vstack([draw.normal(0, 0.001, (1200, 2)), ring, draw.uniform(-4, 4, (100, 2))])


DATA_SETS: dict[str, Callable[[], DataSet]] = {
    "moons": lambda: DataSet(make_moons(1500, noise=0.06, random_state=1)[0], 0.1, 6),
    "circles": lambda: DataSet(make_circles(1500, noise=0.05, factor=0.5, random_state=2)[0], 0.1, 8),
    "swiss roll": lambda: DataSet(make_swiss_roll(2000, noise=0.4, random_state=3)[0], 1.6, 5),
    "uniform noise": lambda: DataSet(_draw(1).uniform(size=(2000, 2)), 0.02, 4),
    "normal, 4-D": lambda: DataSet(_draw(2).normal(size=(2500, 4)), 0.5, 6),
    "chains": lambda: DataSet(_chain(), 0.18, 3),
    "duplicates": lambda: DataSet(_duplicates(), 1.0, 9),
    "one dense blob": lambda: DataSet(_one_dense_blob(), 0.1, 10),
    "manhattan, 3-D": lambda: DataSet(_blobs(1500, 3, 4), 1.2, 6, "manhattan"),
    "chebyshev, 6-D": lambda: DataSet(_blobs(1500, 6, 5), 1.1, 6, "chebyshev"),
    "cosine, 12-D": lambda: DataSet(_blobs(1200, 12, 6), 0.01, 6, "cosine"),
    "blobs, 20-D": lambda: DataSet(_blobs(1500, 20, 7), 5.2, 6),
    "blobs, 50-D": lambda: DataSet(_blobs(1000, 50, 8), 9.0, 6),
    "manhattan, 15-D": lambda: DataSet(_blobs(1000, 15, 9), 13.0, 6, "manhattan"),
    "chebyshev, 30-D": lambda: DataSet(_blobs(1000, 30, 10), 2.6, 5, "chebyshev"),
    "breast cancer": lambda: DataSet(_scaled(load_breast_cancer().data), 3.5, 6),
    "diabetes patients": lambda: DataSet(_scaled(load_diabetes().data), 2.0, 5),
    "wine": lambda: DataSet(_scaled(load_wine().data), 2.3, 5),
    "iris": lambda: DataSet(load_iris().data, 0.4, 5),
    "three points": lambda: DataSet(np.array([[0.0], [1.0], [10.0]]), 1.0, 2),
}
