"""DBSCAN on Spark, distributed and exact. Fitting runs Spark jobs: the driver sees a bounded sample and counts.

Source: Ester, Kriegel, Sander, Xu 1996; cells with a halo as in He et al. 2011 (MR-DBSCAN).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
from pyspark import keyword_only
from pyspark.ml import Estimator, Model
from pyspark.ml.param import Param, Params, TypeConverters
from pyspark.ml.param.shared import HasFeaturesCol, HasPredictionCol, HasSeed
from pyspark.ml.util import DefaultParamsReadable, DefaultParamsWritable
from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from medlake.ml import dbscan_stages as stages
from medlake.ml.blocks import as_array, from_bytes
from medlake.ml.cells import Cells, cells_of, frame_of
from medlake.ml.components import EDGE, components
from medlake.ml.dbscan_labels import labelled
from medlake.ml.metric import EXPONENT, Metric
from medlake.ml.persistence import KeepsTables
from medlake.ml.survey import Survey, surveyed

SAMPLE = 20_000  # distinct points that the cells are made from: the driver holds no more
MOST_CELLS = SAMPLE // 40  # so that each cell is cut by at least 40 sampled points
CELL_POINTS = 50_000
NOISE = -1


class _Params(HasFeaturesCol, HasPredictionCol, HasSeed):
    eps: Param[float] = Param(Params._dummy(), "eps", "largest distance of neighbours", TypeConverters.toFloat)
    minSamples: Param[float] = Param(
        Params._dummy(), "minSamples", "rows within eps that make a core point", TypeConverters.toFloat
    )
    metric: Param[str] = Param(Params._dummy(), "metric", f"one of {', '.join(EXPONENT)}", TypeConverters.toString)
    coreCol: Param[str] = Param(Params._dummy(), "coreCol", "column: is it a core point", TypeConverters.toString)
    maxCellPoints: Param[int] = Param(
        Params._dummy(), "maxCellPoints", "distinct points that a cell aims at", TypeConverters.toInt
    )

    def __init__(self) -> None:
        super().__init__()
        self._setDefault(
            eps=0.5, minSamples=5.0, metric="euclidean", predictionCol="cluster", coreCol="isCore",
            maxCellPoints=CELL_POINTS, seed=0,
        )  # fmt: skip

    def _rule(self, width: int) -> stages.Rule:
        """The rule of these params.

        Raises:
            ValueError: one of them makes no sense.
        """
        eps, name = self.getOrDefault(self.eps), self.getOrDefault(self.metric)
        least, most = self.getOrDefault(self.minSamples), self.getOrDefault(self.maxCellPoints)
        if name not in EXPONENT:
            raise ValueError(f"metric is {name!r}; it can be {', '.join(EXPONENT)}")
        if not (np.isfinite(eps) and eps > 0):
            raise ValueError(f"eps is {eps}; it must be a finite number above 0")
        if least < 1 or most < 1:
            raise ValueError(f"minSamples is {least} and maxCellPoints {most}; both must be at least 1")
        metric = Metric(name)
        return stages.Rule(metric, metric.radius(eps), least, width)


class DBSCAN(Estimator["DBSCANModel"], _Params, DefaultParamsReadable[Any], DefaultParamsWritable):
    """Groups of any shape by density; what is dense nowhere is noise (-1).

    Core points, their partition into groups, and noise are those of scikit-learn for the same eps, min_samples and
    metric, whatever the order and partitions of the rows; distances within a rounding error (1e-15 of their size) of
    eps may fall on either side. A border point (not core, but within eps of one) belongs to the cluster of its
    nearest core point, of equally near ones to the lowest cluster number. Clusters are numbered from 0 by falling
    number of core rows; ties: by the smallest core point, coordinate by coordinate.

    How: a k-d tree over a seeded sample of at most 20,000 distinct points cuts space into cells of about
    maxCellPoints; each cell is clustered in one task with a halo of eps (`cells` says how in more than 8 dimensions);
    groups of neighbouring cells that share a core point are joined as connected components. Equal rows are
    one weighted point. No data is broadcast, no pair of far points is compared.

    Cost: O(n log n) where eps holds few points; a task holds its cell with halo, plus at most 128 MB of pairs;
    a cell denser than that is worked out without listing pairs, at a cost that does not grow with its density.
    Limit: a cell is not cut where most of it lies within eps of any cut, so the distinct points of a region that
    is a few eps wide are held by one task (8 bytes × dimensions each).

    eps in the metric's units (cosine: 1 - cosine of the angle, 0 to 2); `suggested_eps` reads it from the data.
    transform adds `predictionCol` int and `coreCol` boolean; both null where the features are null or not finite.

    Raises:
        ValueError: at fit, no rows or unsound features; in a task, an all-zero vector under cosine.

    >>> model = DBSCAN(eps=0.3, minSamples=10, featuresCol="scaled").fit(patients)  # doctest: +SKIP
    >>> model.transform(patients).groupBy("cluster").count().show()  # doctest: +SKIP
    """

    @keyword_only
    def __init__(
        self, *, eps: float = 0.5, minSamples: float = 5, metric: str = "euclidean", featuresCol: str = "features",
        predictionCol: str = "cluster", coreCol: str = "isCore", maxCellPoints: int = CELL_POINTS, seed: int = 0,
    ) -> None:  # fmt: skip
        super().__init__()
        self._set(**self._input_kwargs)  # type: ignore[attr-defined]

    def _fit(self, dataset: DataFrame) -> DBSCANModel:
        self._rule(1)
        features, seed = self.getOrDefault(self.featuresCol), self.getOrDefault(self.seed)
        survey = surveyed(dataset, features, size=SAMPLE, seed=seed)
        rule = self._rule(survey.width)
        cells = self._cells(survey, rule)
        routed = dataset.select(as_array(dataset, features)).mapInArrow(stages.routed(cells, rule), stages.ROUTED)
        local = routed.groupBy("cell").applyInArrow(stages.found(cells, rule), stages.FOUND).localCheckpoint()
        told = local.where(F.col("kind") != stages.CORE).select("kind", "cell", "points", "comps")
        edges = told.groupBy("cell").applyInArrow(stages.matched(rule), EDGE)
        core = _numbered(local.where(F.col("kind") == stages.CORE), components(edges)).localCheckpoint()
        model = DBSCANModel()
        model._restore({"width": survey.width, "cells": cells.to_json()}, {"core": core})
        return self._copyValues(model)

    def _cells(self, survey: Survey, rule: stages.Rule) -> Cells:
        sample = rule.metric.embedded(survey.sample)
        most = max(self.getOrDefault(self.maxCellPoints), survey.n_distinct / MOST_CELLS)
        per_point = survey.n_distinct / len(sample)
        largest = 1.0 if rule.metric.name == "cosine" else survey.largest
        frame = frame_of(sample, rule.metric.p)
        return cells_of(sample, frame=frame, per_point=per_point, most=most, reach=rule.radius, largest=largest)


def _numbered(core: DataFrame, joined: DataFrame) -> DataFrame:
    """cluster, mass, points: the core points, the groups of all cells joined and numbered."""
    groups = core.join(joined, on=F.col("comp") == F.col("node"), how="left").withColumn(
        "root", F.coalesce("root", "comp")
    )
    by_size = Window.orderBy(F.desc("total"), "smallest")
    numbers = (
        groups.groupBy("root")
        .agg(F.sum("mass").alias("total"), F.min("first").alias("smallest"))
        .select("root", (F.row_number().over(by_size) - 1).cast("int").alias("cluster"))
    )
    return groups.join(numbers, on="root", how="inner").select("cluster", "mass", "points")


class DBSCANModel(Model, _Params, KeepsTables):
    """The core points with their clusters. transform gives a row the cluster of its nearest core point within eps.

    So the rows of the fit get their labels back, and new rows theirs, at the cost of one shuffle.
    """

    def __init__(self) -> None:
        super().__init__()
        self._width, self._cells = 0, Cells(frame_of(np.zeros((1, 1)), 2.0), 0.0, [-1], [0.0], [0], [0])
        self._core: DataFrame | None = None

    @property
    def corePoints(self) -> DataFrame:
        """features array<double>, cluster: every distinct core point (on the unit sphere under cosine)."""
        width = self._width

        def unpack(batches: Any) -> Any:
            for batch in batches:
                for cluster, block in zip(*(batch.column(i).to_pylist() for i in (0, 1)), strict=True):
                    points = from_bytes([block], width)
                    values = [pa.array(list(points)), pa.array([cluster] * len(points), pa.int32())]
                    yield pa.RecordBatch.from_arrays(values, names=["features", "cluster"])

        return self._known().select("cluster", "points").mapInArrow(unpack, "features array<double>, cluster int")

    @property
    def clusters(self) -> DataFrame:
        """cluster, n_core: how many rows of the fit are core points of each cluster."""
        return self._known().groupBy("cluster").agg(F.sum("mass").cast("bigint").alias("n_core"))

    def _transform(self, dataset: DataFrame) -> DataFrame:
        rule = self._rule(self._width)
        core = self._known().select("cluster", "points").mapInArrow(stages.spread(self._cells, rule), stages.SPREAD)
        names = {name: self.getOrDefault(name) for name in ("featuresCol", "predictionCol", "coreCol")}
        return labelled(
            dataset, core, self._cells, rule,
            features=names["featuresCol"], cluster=names["predictionCol"], is_core=names["coreCol"],
        )  # fmt: skip

    def _known(self) -> DataFrame:
        if self._core is None:
            raise ValueError("this model has no core points: fit a DBSCAN, or load a model")
        return self._core

    def _facts(self) -> dict[str, Any]:
        return {"width": self._width, "cells": self._cells.to_json()}

    def _tables(self) -> dict[str, DataFrame]:
        return {"core": self._known()}

    def _restore(self, facts: dict[str, Any], tables: dict[str, DataFrame]) -> None:
        self._width, self._cells, self._core = facts["width"], Cells.from_json(facts["cells"]), tables["core"]
