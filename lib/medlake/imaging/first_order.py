"""What the values of an image look like, whatever it shows: first-order statistics."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

N_BINS = 64  # of equal width from least to greatest value, for entropy and background
LUMINANCE = np.array([0.299, 0.587, 0.114])  # ITU-R BT.601, as in the YBR_FULL of PS3.3 C.7.6.3.1.2


def first_order(pixels: NDArray[Any]) -> dict[str, float]:
    """Statistics of all finite pixels of one frame; colours are reduced to their luminance.

    mean, sd, p10, p50, p90 are in the values of the pixels (CT: HU). `entropy` is in bit over `N_BINS` bins
    (0 for an even image, at most 6). `background` is the fraction of pixels in the lowest bin (1 for an
    even image).

    Raises:
        ValueError: no pixel is finite.
    """
    values = np.asarray(pixels, dtype=np.float64)
    values = (values @ LUMINANCE if values.ndim == 3 else values).ravel()
    values = values[np.isfinite(values)]
    if values.size == 0:
        raise ValueError("no finite pixel")
    p10, p50, p90 = np.percentile(values, [10, 50, 90])
    shares = _histogram(values) / values.size
    held = shares[shares > 0]
    return {
        "mean": float(values.mean()),
        "sd": float(values.std()),
        "p10": float(p10),
        "p50": float(p50),
        "p90": float(p90),
        "entropy": abs(float(np.sum(held * np.log2(held)))),
        "background": float(shares[0]),
    }


def _histogram(values: NDArray[np.float64]) -> NDArray[np.int64]:
    low, high = values.min(), values.max()
    if low == high:
        return np.array([values.size] + [0] * (N_BINS - 1))
    return np.histogram(values, bins=N_BINS, range=(low, high))[0]
