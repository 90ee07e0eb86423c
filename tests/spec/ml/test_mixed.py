"""Numbers, categories and code sets become one vector, weighed as stated; every method has a name."""

from __future__ import annotations

import math

import pytest
from pyspark.ml.clustering import GaussianMixture
from pyspark.ml.functions import array_to_vector

from medlake.ml import Birch, MixedEncoder, MixedEncoderModel, grouping

ROWS = [
    (1, 40.0, "F", ["a", "b"]),
    (2, 60.0, "F", ["a"]),
    (3, None, "M", []),
    (4, float("nan"), None, None),
]


def test_each_kind_of_column_is_weighed_as_stated(spark, tmp_path):
    people = spark.createDataFrame(ROWS, "id bigint, age double, sex string, items array<string>")
    encoder = MixedEncoder(numberCols=["age"], categoryCols=["sex"], codeCols=["items"], maxLevels=2)
    encoder.fit(people).save(str(tmp_path / "model"))
    model = MixedEncoderModel.load(str(tmp_path / "model"))
    assert model.names == ["age", "sex=F", "sex=(missing)", "items=a", "items=b"]

    def weighed(has: int, share: float) -> float:
        return (has - share) / math.sqrt(share)

    want = [
        (1, [-1.0, weighed(1, 0.5), weighed(0, 0.25), weighed(1, 0.5), weighed(1, 0.25)]),
        (2, [1.0, weighed(1, 0.5), weighed(0, 0.25), weighed(1, 0.5), weighed(0, 0.25)]),
        (3, [0.0, weighed(0, 0.5), weighed(0, 0.25), weighed(0, 0.5), weighed(0, 0.25)]),
        (4, [0.0, weighed(0, 0.5), weighed(1, 0.25), weighed(0, 0.5), weighed(0, 0.25)]),
    ]
    found = {r["id"]: r["features"] for r in model.transform(people).collect()}
    assert {i: pytest.approx(v) for i, v in want} == found


def test_methods_have_names(spark):
    assert isinstance(grouping("birch", k=2), Birch)
    assert isinstance(grouping("mixture", k=2, seed=1), GaussianMixture)
    rows = [(i, [float(x)]) for i, x in enumerate([0, 1, 0, 9, 8, 9, 8])]
    frame = spark.createDataFrame(rows, "id bigint, features array<double>")
    vectors = frame.withColumn("features", array_to_vector("features"))
    sizes = grouping("bisecting", k=2).fit(vectors).transform(vectors).groupBy("cluster").count().collect()
    assert sorted(r["count"] for r in sizes) == [3, 4]
    with pytest.raises(ValueError, match="method is 'magic'; it can be kmeans, birch, dbscan, bisecting, mixture"):
        grouping("magic")
