"""Imputation and standardisation, learned on training rows only. Fitting it runs one Spark job."""

from __future__ import annotations

from pyspark.ml import Estimator, PipelineModel
from pyspark.ml.feature import SQLTransformer, VectorAssembler
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

FEATURES, PREPARED = "features", "prepared"


class Preparation(Estimator[PipelineModel]):
    """`features` array<double> → `prepared` vector of the same order: no missing values, mean 0, spread 1.

    A missing value becomes the training mean, hence 0. A feature without spread in training, or without
    any value, becomes 0 for everybody. The fitted form has only Spark's own stages: any Spark can load it.
    Trees do not mind standardised inputs: their splits move with the values.
    """

    def __init__(self, n_features: int) -> None:
        super().__init__()
        self.n_features = n_features

    def _fit(self, dataset: DataFrame) -> PipelineModel:
        values = [F.col(FEATURES)[i] for i in range(self.n_features)]
        means = F.array(*[F.avg(v) for v in values])
        spreads = F.array(*[F.stddev_samp(v) for v in values])
        found = dataset.agg(means.alias("mean"), spreads.alias("spread")).first()
        if found is None:
            raise ValueError("no rows to learn the preparation from")
        scales = enumerate(zip(found["mean"], found["spread"], strict=True))
        columns = [_standardised(i, mean, spread) for i, (mean, spread) in scales]
        names = [f"x{i}" for i in range(self.n_features)]
        return PipelineModel(
            stages=[
                SQLTransformer(statement=f"SELECT *, {', '.join(columns)} FROM __THIS__"),
                VectorAssembler(inputCols=names, outputCol=PREPARED),
            ]
        )


def _standardised(position: int, mean: float | None, spread: float | None) -> str:
    """SQL of one standardised feature; Python's repr of a double is exact."""
    if mean is None or not spread:
        return f"0.0D AS x{position}"
    return f"coalesce(({FEATURES}[{position}] - ({mean!r}D)) / {spread!r}D, 0.0D) AS x{position}"
