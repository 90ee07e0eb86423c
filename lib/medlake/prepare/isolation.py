"""Isolation forest: who is told apart from the others by few cuts. Fitting runs Spark jobs: a sample, and a quantile.

Source: Liu, Ting and Zhou 2008. Each tree grows on maxSamples rows, so a forest needs no more than trees × maxSamples
rows: a seeded sample of that size goes to scikit-learn's forest on the driver, and all rows are scored where they are.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyspark import keyword_only
from pyspark.ml import Estimator
from pyspark.ml.param import TypeConverters
from pyspark.ml.param.shared import HasSeed
from pyspark.ml.util import DefaultParamsReadable, DefaultParamsWritable
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.pandas.functions import arrow_udf
from sklearn.ensemble import IsolationForest as Forest

from medlake.ml.blocks import Floats, Ints
from medlake.prepare.columns import KeepsFacts, matrix, named, number, param, vector
from medlake.prepare.fences import Flags

MAX_SAMPLE = 100_000  # rows that go to the driver at most, however many trees


class _Params(Flags, HasSeed):
    numTrees = param("numTrees", "trees", TypeConverters.toInt)
    maxSamples = param("maxSamples", "rows of one tree", TypeConverters.toInt)
    contamination = param("contamination", "share of the fit to flag; 0: scores above 0.5", TypeConverters.toFloat)
    scoreCol = param("scoreCol", "column for the score, 0 to 1, high is odd", TypeConverters.toString)
    keyCols = param("keyCols", "columns that tell rows apart; none: all columns", TypeConverters.toListString)

    def __init__(self) -> None:
        super().__init__()
        self._setDefault(numTrees=100, maxSamples=256, contamination=0.0, scoreCol="outlier_score", keyCols=[], seed=0)


class IsolationForest(Estimator["IsolationForestModel"], _Params, DefaultParamsReadable[Any], DefaultParamsWritable):
    """Adds a score to each row, and `outlier_isolation` to its flags where the score is too high. It changes no value.

    Score: 2^-(mean path / expected path): near 1 is odd, 0.5 and below is not. Rows with a missing number are neither
    used nor scored. The sample is the bottom of a seeded hash of keyCols: order and partitions do not matter.

    Cost: one pass and a sample of at most min(numTrees × maxSamples, 100,000) rows for the driver; with contamination
    one more pass, for the quantile of all scores. Scoring: trees × depth per row, in NumPy.

    Raises:
        ValueError: no row without a missing number.

    >>> IsolationForest(inputCols=["age", "hb", "crp"], contamination=0.01, seed=7).fit(rows)  # doctest: +SKIP
    """

    @keyword_only
    def __init__(
        self, *, inputCols: list[str] | None = None, numTrees: int = 100, maxSamples: int = 256,
        contamination: float = 0.0, scoreCol: str = "outlier_score", flagsCol: str = "qc",
        keyCols: list[str] | None = None, seed: int = 0,
    ) -> None:  # fmt: skip
        super().__init__()
        self._set(**self._given())

    def _fit(self, dataset: DataFrame) -> IsolationForestModel:
        columns, seed = self.inputs(), self.getOrDefault(self.seed)
        n_trees, n_each = self.getOrDefault(self.numTrees), self.getOrDefault(self.maxSamples)
        keys: list[str] = self.getOrDefault(self.keyCols) or dataset.columns
        draw = F.xxhash64(F.lit(seed), *map(named, keys)).alias("draw")
        sound = dataset.select(*[number(c).alias(f"c{i}") for i, c in enumerate(columns)], draw).dropna()
        size = min(n_trees * n_each, MAX_SAMPLE)
        bottom = sound.orderBy("draw", *sound.columns[:-1]).limit(size).drop("draw").toArrow()
        if not bottom.num_rows:
            raise ValueError("IsolationForest: every row misses a number; impute first, or take fewer columns")
        sample = np.column_stack([np.asarray(c, dtype=np.float64) for c in bottom.columns])
        forest = Forest(n_estimators=n_trees, max_samples=min(n_each, len(sample)), random_state=seed).fit(sample)
        model = IsolationForestModel()
        model._kept = {"trees": _told(forest), "samples": int(forest.max_samples_), "limit": 0.5}
        self._copyValues(model)
        share = self.getOrDefault(self.contamination)
        if share > 0:
            told = dataset.select(F.percentile(model.score(), 1 - share)).first()
            model._kept["limit"] = told[0] if told else 0.5
        return model


def expected_path(n: Floats) -> Floats:
    """Mean path of an unsuccessful search in a binary tree of n rows."""
    n = np.asarray(n, dtype=np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        path = 2 * (np.log(n - 1) + np.euler_gamma) - 2 * (n - 1) / n
    return np.where(n > 2, path, np.where(n == 2, 1.0, 0.0))


def _told(forest: Any) -> list[dict[str, Any]]:
    """The trees as plain lists; `path` is the length to a node, with what is expected below it."""
    trees = []
    for one in forest.estimators_:
        tree = one.tree_
        depth = np.zeros(tree.node_count)
        for node in range(tree.node_count):  # a child always comes after its parent
            for child in (tree.children_left[node], tree.children_right[node]):
                if child >= 0:
                    depth[child] = depth[node] + 1
        path = depth + expected_path(tree.n_node_samples.astype(float))
        # scikit-learn numbers a leaf's cut -2: here a leaf leads to itself, so that all rows may go on together.
        leaf = tree.children_left < 0
        here = np.arange(tree.node_count)
        trees.append(
            {
                "left": np.where(leaf, here, tree.children_left).tolist(),
                "right": np.where(leaf, here, tree.children_right).tolist(),
                "column": np.where(leaf, 0, tree.feature).tolist(),
                "cut": np.where(leaf, 0.0, tree.threshold).tolist(),
                "path": path.tolist(),
                "depth": int(depth.max()),
            }
        )
    return trees


def scores(points: Floats, trees: list[dict[str, Any]], n_samples: int) -> Floats:
    """The score of each row; scikit-learn's score_samples with the other sign."""
    points = points.astype(np.float32)  # as the trees were grown
    rows = np.arange(len(points))
    total = np.zeros(len(points))
    for tree in trees:
        left, right, column = (np.asarray(tree[k], dtype=np.int64) for k in ("left", "right", "column"))
        cut, path = np.asarray(tree["cut"]), np.asarray(tree["path"])
        node: Ints = np.zeros(len(points), dtype=np.int64)
        for _ in range(tree["depth"]):
            node = np.where(points[rows, column[node]] <= cut[node], left[node], right[node])
        total += path[node]
    expected = float(expected_path(np.array([n_samples]))[0])
    return np.asarray(2.0 ** -(total / (len(trees) * expected))) if expected else np.ones(len(points))


class IsolationForestModel(KeepsFacts, _Params):
    """The trees, as numbers. Lazy."""

    @property
    def limit(self) -> float:
        """The score above which a row is flagged."""
        return float(self._kept["limit"])

    def score(self) -> Column:
        """The score as a column; null where a number is missing."""
        columns, trees, n = self.inputs(), self._kept["trees"], self._kept["samples"]

        def ask(column: pa.Array) -> pa.Array:
            points = matrix(column, len(columns))
            sound = np.isfinite(points).all(axis=1)
            answer = np.zeros(len(points))
            if sound.any():
                answer[sound] = scores(points[sound], trees, n)
            return pc.if_else(pa.array(sound), pa.array(answer), pa.scalar(None, pa.float64()))

        answer: Column = arrow_udf(ask, "double")(vector(columns))  # type: ignore[call-overload]
        return answer

    def _transform(self, dataset: DataFrame) -> DataFrame:
        name: str = self.getOrDefault(self.scoreCol)
        scored = dataset.withColumn(name, self.score())
        odd = F.coalesce(named(name) > self.limit, F.lit(False))
        return self.with_flags(scored, [F.when(odd, F.lit("outlier_isolation"))])
