"""eps from the data: the curve of distances to the k-th neighbour, and its knee. It runs Spark jobs.

Source: Ester et al. 1996, section 4.2; the knee as in Satopää et al. 2011 (Kneedle), without smoothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame
from scipy.spatial import cKDTree

from medlake.ml.blocks import Floats, as_array, batch_of, from_bytes, gathered, to_bytes
from medlake.ml.metric import EXPONENT, Metric
from medlake.ml.survey import surveyed

ASKED = 1_000  # distinct points whose k-th neighbour is looked for
NEAREST = "nearest binary"


def k_distances(
    dataset: DataFrame, *, k: int, features: str = "features", metric: str = "euclidean",
    n_asked: int = ASKED, seed: int = 0,
) -> Floats:  # fmt: skip
    """Distances, rising, from a seeded sample of at most `n_asked` distinct points to their k-th nearest of all rows.

    The point itself counts, as it does for minSamples: with eps at the result, k rows are within eps. Exact: each
    partition keeps the k smallest distances of every asked point, k × n_asked numbers, and the driver merges them.

    Raises:
        ValueError: unsound features, an unknown metric, or fewer rows than k.
    """
    if metric not in EXPONENT:
        raise ValueError(f"metric is {metric!r}; it can be {', '.join(EXPONENT)}")
    chosen = Metric(metric)
    survey = surveyed(dataset, features, size=n_asked, seed=seed)
    if not 1 <= k <= survey.n:
        raise ValueError(f"k is {k}; it must be between 1 and the {survey.n} rows")
    asked = chosen.embedded(survey.sample)

    def look(batches: Any) -> Any:
        nearest = np.full((len(asked), k), np.inf)
        for raw in gathered(batches):
            tree = cKDTree(chosen.embedded(raw), balanced_tree=False)
            here, _ = tree.query(asked, k=np.arange(1, k + 1), p=chosen.p)  # infinite where there are fewer
            nearest = np.sort(np.hstack([nearest, here]), axis=1)[:, :k]
        yield batch_of(NEAREST, [(to_bytes(nearest),)])

    rows = dataset.select(as_array(dataset, features)).mapInArrow(look, NEAREST).toArrow()
    return chosen.distance(np.sort(_merged(rows, len(asked), k)[:, -1]))


def _merged(rows: pa.Table, n_asked: int, k: int) -> Floats:
    nearest = np.full((n_asked, k), np.inf)
    for values in rows["nearest"].to_pylist():
        nearest = np.sort(np.hstack([nearest, from_bytes([values], k)]), axis=1)[:, :k]
    return nearest


def knee(rising: Sequence[float] | Floats) -> float:
    """The value of a rising curve at its knee: the point farthest below the chord from the first to the last.

    A curve without a bend gives its last value.
    """
    values = np.asarray(rising, dtype=np.float64)
    if len(values) < 3 or values[-1] <= values[0]:
        return float(values[-1])
    below = np.linspace(0.0, 1.0, len(values)) - (values - values[0]) / (values[-1] - values[0])
    return float(values[int(np.argmax(below))] if below.max() > 0.0 else values[-1])


def suggested_eps(
    dataset: DataFrame, *, min_samples: int, features: str = "features", metric: str = "euclidean", seed: int = 0
) -> float:
    """An eps for DBSCAN: the knee of the distances to the min_samples-th neighbour. A start, not a truth."""
    return knee(k_distances(dataset, k=min_samples, features=features, metric=metric, seed=seed))
