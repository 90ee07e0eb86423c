"""Scalers, bins and encoders say what scikit-learn's say on the same rows, to 1e-6."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from frames import frame, holed, matrix, names
from pyspark.ml import Pipeline, PipelineModel
from pyspark.ml.functions import vector_to_array
from pyspark.sql import functions as F
from sklearn import preprocessing as theirs
from tests.tables import assert_rows, rows

from medlake.prepare import (
    Binner,
    LogTransformer,
    MinMaxScaler,
    OneHotEncoder,
    OneHotEncoderModel,
    OrdinalEncoder,
    RobustScaler,
    StandardScaler,
)

CLOSE = {"rtol": 0, "atol": 1e-6}


def labs(n, seed):
    points = np.random.default_rng(seed).lognormal(size=(n, 3)) * [1, 100, 1e5] + [0, 0, 1e6]
    return np.column_stack([points, np.full(n, 7.0)])  # one column without spread


def outputs(tag):
    return [f"{tag}{i}" for i in range(4)]


def test_scalers_equal_scikit_learns(spark, tmp_path):
    train, new = holed(labs(300, 1), 0.1, 2), holed(labs(100, 3), 0.1, 4)
    x = names(train)
    Pipeline(
        stages=[
            StandardScaler(inputCols=x, outputCols=outputs("s")),
            MinMaxScaler(inputCols=x, outputCols=outputs("m"), min=-1.0, max=2.0),
            MinMaxScaler(inputCols=x, outputCols=outputs("c"), clip=True),
            RobustScaler(inputCols=x, outputCols=outputs("r")),
            RobustScaler(inputCols=x, outputCols=outputs("q"), lower=0.1, upper=0.9),
            LogTransformer(inputCols=x, outputCols=outputs("l"), offset=1.0),
        ]
    ).fit(frame(spark, train)).save(str(tmp_path / "model"))
    model = PipelineModel.load(str(tmp_path / "model"))
    done = model.transform(frame(spark, new)).localCheckpoint()
    found = matrix(done, *[c for tag in "smcrql" for c in outputs(tag)])
    made = [
        theirs.StandardScaler(),
        theirs.MinMaxScaler((-1, 2)),
        theirs.MinMaxScaler(clip=True),
        theirs.RobustScaler(),
        theirs.RobustScaler(quantile_range=(10, 90)),
    ]
    want = [one.fit(train).transform(new) for one in made] + [np.log1p(new)]
    np.testing.assert_allclose(found, np.hstack(want), **CLOSE)
    back = matrix(model.stages[0].inverse(done), *outputs("s"))
    np.testing.assert_allclose(back, new, rtol=1e-12)


def test_the_logarithm_of_what_has_none_is_missing(spark):
    logged = LogTransformer(inputCols=["x0"], base=10.0).transform(frame(spark, [[1000], [0], [-1], [np.nan]]))
    np.testing.assert_allclose(matrix(logged, "x0")[:, 0], [3, np.nan, np.nan, np.nan])


def test_bins_equal_scikit_learns(spark):
    train, new = labs(300, 1), labs(100, 3)
    train[:, 3], new[:, 3] = np.arange(300) // 60 * 2, np.arange(100) % 11  # ties at every edge
    x = names(train)
    done = frame(spark, new)
    want = []
    for tag, strategy in (("u", "uniform"), ("q", "quantile")):
        done = Binner(inputCols=x, outputCols=outputs(tag), strategy=strategy, nBins=5).fit(frame(spark, train)).transform(done)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of edges that fall together
            more = {"quantile_method": "linear"} if strategy == "quantile" else {}
            their = theirs.KBinsDiscretizer(5, encode="ordinal", strategy=strategy, subsample=None, **more)
            want.append(their.fit(train).transform(new))
    np.testing.assert_array_equal(matrix(done, *outputs("u"), *outputs("q")), np.hstack(want))


def test_a_value_at_an_edge_is_in_the_bin_above_it(spark):
    binner = Binner(inputCols=["x0"], strategy="edges", edges={"x0": [18, 65]})
    ages = frame(spark, [[17.9], [18], [64], [65], [120], [np.nan]])
    np.testing.assert_array_equal(matrix(binner.fit(ages).transform(ages), "x0")[:, 0], [0, 1, 1, 2, 2, np.nan])
    with pytest.raises(ValueError, match="rising edges for x0"):
        Binner(inputCols=["x0"], strategy="edges", edges={"x0": [2, 1]}).fit(ages)


WARDS = ["icu"] * 40 + ["er"] * 30 + ["day"] * 27 + ["lab"] * 2 + ["spa"] * 1


def test_one_hot_equals_scikit_learns_with_rare_levels_as_other(spark, tmp_path):
    seen = spark.createDataFrame([(i, w) for i, w in enumerate(WARDS)], "id bigint, ward string")
    asked = ["icu", "day", "er", "lab", "spa", "moon"]
    new = spark.createDataFrame([*enumerate(asked), (6, None)], "id bigint, ward string")
    encoder = OneHotEncoder(inputCols=["ward"], outputCols=["hot"], minShare=0.05)
    encoder.fit(seen).save(str(tmp_path / "model"))
    model = OneHotEncoderModel.load(str(tmp_path / "model"))
    assert model.levels == {"ward": ["day", "er", "icu", "other", "missing"]}
    done = model.transform(new).select("id", vector_to_array("hot").alias("hot"))
    found = matrix(done.select("id", *[F.col("hot")[i].alias(f"h{i}") for i in range(5)]), *[f"h{i}" for i in range(5)])
    their = theirs.OneHotEncoder(min_frequency=0.05, handle_unknown="infrequent_if_exist", sparse_output=False)
    want = their.fit(np.array(WARDS)[:, None]).transform(np.array(asked)[:, None])
    np.testing.assert_array_equal(found[:6, :4], want)
    np.testing.assert_array_equal(found[:, 4], [0, 0, 0, 0, 0, 0, 1])
    assert OneHotEncoder(inputCols=["ward"], maxLevels=2, minShare=0.0).fit(seen).levels == {"ward": ["er", "icu", "other", "missing"]}


def test_ordinal_equals_scikit_learns_and_takes_an_order(spark):
    wards = spark.createDataFrame([(i, w) for i, w in enumerate(WARDS)], "id bigint, ward string")
    found = matrix(OrdinalEncoder(inputCols=["ward"]).fit(wards).transform(wards), "ward")
    np.testing.assert_array_equal(found, theirs.OrdinalEncoder().fit_transform(np.array(WARDS)[:, None]))
    stages = rows(spark, None, """
        stage | n
        III   | 2
        I     | 0
        null  | null
        X     | null
    """, n="bigint")
    order = {"stage": ["I", "II", "III", "IV"]}
    model = OrdinalEncoder(inputCols=["stage"], outputCols=["place"], levels=order).fit(stages)
    assert_rows(model.transform(stages), """
        stage | place
        III   | 2.0
        I     | 0.0
        null  | null
        X     | null
    """)
    last = OrdinalEncoder(inputCols=["stage"], outputCols=["place"], levels=order, unknown="last").fit(stages)
    assert last.transform(stages).where("stage = 'X'").first()["place"] == 4.0
    strict = OrdinalEncoder(inputCols=["stage"], levels=order, unknown="error").fit(stages)
    with pytest.raises(Exception, match="does not know") as told:
        strict.transform(stages).collect()
    assert "X" not in str(told.value).partition("SQLSTATE")[0].replace("EXCEPTION", "")
    with pytest.raises(ValueError, match="ward have more than 3 levels"):
        OrdinalEncoder(inputCols=["ward"], maxLevels=3).fit(wards)
