"""The metrics that neighbourhoods are taken in, each as a Minkowski distance of embedded points. NumPy to NumPy."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from medlake.ml.blocks import Floats

EXPONENT = {"euclidean": 2.0, "manhattan": 1.0, "chebyshev": float("inf"), "cosine": 2.0}


@dataclass(frozen=True)
class Metric:
    """One of EXPONENT. Cosine: points on the unit sphere, where |u - v|² = 2 · (1 - cos)."""

    name: str

    @property
    def p(self) -> float:
        return EXPONENT[self.name]

    def radius(self, eps: float) -> float:
        """The distance between embedded points that `eps` stands for."""
        return float(np.sqrt(2 * eps)) if self.name == "cosine" else eps

    def distance(self, embedded: Floats) -> Floats:
        """The metric's own distances from distances between embedded points."""
        return embedded**2 / 2 if self.name == "cosine" else embedded

    def embedded(self, points: Floats) -> Floats:
        """The points as the Minkowski distance sees them.

        Raises:
            ValueError: a point without a direction (all zeros) under cosine.
        """
        if self.name != "cosine":
            return points
        norm = np.linalg.norm(points, axis=1, keepdims=True)
        if (norm == 0).any():
            raise ValueError(f"{int((norm == 0).sum())} feature vectors are all zeros: they have no cosine distance")
        unit: Floats = points / norm + 0.0
        return unit
