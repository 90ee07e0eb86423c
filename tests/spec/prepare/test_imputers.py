"""Imputers say what scikit-learn's say on the same rows, to 1e-6, and learn from the rows of the fit alone."""

from __future__ import annotations

from functools import reduce

import numpy as np
import pyarrow as pa
import pytest
from frames import frame, holed, matrix, names
from pyspark.ml import Pipeline, PipelineModel
from sklearn.experimental import enable_iterative_imputer  # noqa: F401
from sklearn.impute import IterativeImputer as TheirIterative
from sklearn.impute import KNNImputer as TheirKNN
from sklearn.impute import SimpleImputer
from sklearn.linear_model import BayesianRidge, LinearRegression
from tests.tables import assert_rows, rows

from medlake.prepare import (
    Imputer,
    IterativeImputer,
    IterativeImputerModel,
    KNNImputer,
    KNNImputerModel,
    LastObservation,
    MissingIndicator,
    knn,
)
from medlake.prepare.donors import Donors, merged, nearest_donors

CLOSE = {"rtol": 0, "atol": 1e-6}


def patients(n: int, seed: int) -> np.ndarray:
    """Four related columns of unlike size, like age, haemoglobin, creatinine and a count."""
    rng = np.random.default_rng(seed)
    hidden = rng.normal(size=(n, 2))
    loads = np.array([[1.0, 0.5, -0.7, 0.2], [0.1, 1.0, 0.6, -0.9]])
    return (hidden @ loads + 0.4 * rng.normal(size=(n, 4))) * [15, 20, 40, 2] + [60, 140, 90, 7]


def test_single_values_are_those_of_scikit_learn(spark, tmp_path):
    train, new = holed(patients(300, 1).round(0), 0.2, 2), holed(patients(80, 3).round(0), 0.3, 4)
    seen, unseen, columns = frame(spark, train), frame(spark, new), names(train)
    made = []
    for strategy in ("mean", "median", "mode", "constant"):
        outputs = [f"{c}_{strategy}" for c in columns]
        made.append(Imputer(inputCols=columns, outputCols=outputs, strategy=strategy, fillValue=-1.0))
    Pipeline(stages=made).fit(seen).save(str(tmp_path / "model"))
    done = PipelineModel.load(str(tmp_path / "model")).transform(unseen)
    found = matrix(done, *[f"{c}_{s}" for s in ("mean", "median", "mode", "constant") for c in columns])
    theirs = [("mean", None), ("median", None), ("most_frequent", None), ("constant", -1.0)]
    want = [SimpleImputer(strategy=s, fill_value=f).fit(train).transform(new) for s, f in theirs]
    np.testing.assert_allclose(found, np.hstack(want), **CLOSE)


def test_delete_fill_and_ignore_by_group(spark):
    seen = rows(spark, None, """
        ward | sex  | hb   | note
        a    | F    | 10.0 | x
        a    | F    | 14.0 | y
        a    | M    | 16.0 | y
        b    | F    | null | null
        null | F    | 40.0 | z
    """, hb="double")
    asked = rows(spark, None, """
        ward | sex | hb   | note
        a    | F   | null | null
        a    | M   | null | z
        b    | F   | null | null
        null | F   | null | null
        c    | M   | null | w
        c    | M   | NaN  | w
        a    | F   | 1.0  | x
    """, hb="double")
    by_ward = Imputer(inputCols=["hb"], strategy="mean", groupCols=["ward", "sex"]).fit(seen)
    word = Imputer(inputCols=["note"], strategy="mode").fit(seen)
    # b and c have no value of their own: the mean of all.
    assert_rows(word.transform(by_ward.transform(asked)), """
        ward | sex | hb   | note
        a    | F   | 12.0 | y
        a    | M   | 16.0 | z
        b    | F   | 20.0 | y
        null | F   | 40.0 | y
        c    | M   | 20.0 | w
        c    | M   | 20.0 | w
        a    | F   | 1.0  | x
    """)
    assert Imputer(inputCols=["hb"], strategy="drop").fit(seen).transform(asked).count() == 1
    assert Imputer(inputCols=["hb"], strategy="ignore").fit(seen).transform(asked).where("hb IS NULL").count() == 5
    with pytest.raises(ValueError, match="note hold no numbers"):
        Imputer(inputCols=["note"], strategy="mean").fit(seen)
    with pytest.raises(ValueError, match="strategy is 'magic'; it can be ignore, drop"):
        Imputer(inputCols=["hb"], strategy="magic").fit(seen)


def test_an_indicator_says_what_was_missing_in_the_fit(spark):
    seen, new = frame(spark, [[1, np.nan], [2, 3]]), frame(spark, [[np.nan, np.nan], [1, 1]])
    model = MissingIndicator(inputCols=["x0", "x1"]).fit(seen)
    assert model.names == ["x1_missing"]
    np.testing.assert_array_equal(matrix(model.transform(new), "x1_missing"), [[1], [0]])
    assert MissingIndicator(inputCols=["x0", "x1"], features="all").fit(seen).names == ["x0_missing", "x1_missing"]


def test_the_last_observation_is_carried_no_further_than_it_may(spark):
    series = rows(spark, None, """
        person_id | at                  | hb
        1         | 2020-01-01T00:00:00 | 10.0
        1         | 2020-01-01T12:00:00 | null
        1         | 2020-01-02T00:00:00 | null
        1         | 2020-01-02T00:00:01 | null
        1         | 2020-01-03T00:00:00 | 7.0
        1         | 2020-01-03T00:00:00 | 9.0
        1         | 2020-01-03T00:00:00 | null
        1         | null                | null
        1         | null                | 99.0
        2         | 2020-01-01T06:00:00 | null
        2         | 2020-01-02T06:00:00 | 5.0
    """, person_id="bigint", at="timestamp", hb="double")
    carried = LastObservation(
        inputCols=["hb"], outputCols=["locf"], keyCols=["person_id"], timeCol="at", maxAgeHours=24
    )  # fmt: skip
    assert_rows(carried.transform(series), """
        person_id | at                  | locf
        1         | 2020-01-01T00:00:00 | 10.0
        1         | 2020-01-01T12:00:00 | 10.0
        1         | 2020-01-02T00:00:00 | 10.0
        1         | 2020-01-02T00:00:01 | null
        1         | 2020-01-03T00:00:00 | 7.0
        1         | 2020-01-03T00:00:00 | 9.0
        1         | 2020-01-03T00:00:00 | 9.0
        1         | null                | null
        1         | null                | 99.0
        2         | 2020-01-01T06:00:00 | null
        2         | 2020-01-02T06:00:00 | 5.0
    """)


@pytest.mark.parametrize("weights", ["uniform", "distance"])
def test_nearest_neighbours_are_those_of_scikit_learn(spark, monkeypatch, tmp_path, weights):
    monkeypatch.setattr("medlake.prepare.knn.DONORS", 37)  # many blocks on both sides, the last ones not full
    monkeypatch.setattr("medlake.prepare.knn.QUERIES", 16)
    train, new = holed(patients(200, 1), 0.3, 2), holed(patients(90, 3), 0.4, 4)
    new[:3] = np.nan  # nothing shared with anybody: means
    new[3:6] = train[:3]
    new[3:6, 1] = np.nan  # distance 0 in all other columns
    new[6] = new[7]  # two rows alike
    KNNImputer(inputCols=names(train), nNeighbors=4, weights=weights).fit(frame(spark, train)).save(str(tmp_path / "m"))
    model = KNNImputerModel.load(str(tmp_path / "m"))
    found = matrix(model.transform(frame(spark, new)), *names(train))
    want = TheirKNN(n_neighbors=4, weights=weights).fit(train).transform(new)
    np.testing.assert_allclose(found, want, **CLOSE)


def test_blocks_of_donors_tell_the_same_as_all_at_once(monkeypatch):
    train, new = holed(patients(120, 1).round(-1), 0.3, 2), holed(patients(50, 3).round(-1), 0.5, 4)  # ties abound
    whole = nearest_donors(new, train, 5)
    order = np.random.default_rng(0).permutation(120)
    asked, blocks = [new[:30], new[30:]], [train[order[i::3]] for i in range(3)]

    def found(queries, block):
        return nearest_donors(queries, np.frombuffer(block[0]).reshape(-1, 4), 5)

    # The same queries do not stand together, and no two may be open at once: several parts of one answer.
    pairs = [(q.tobytes(), d.tobytes()) for d in blocks for q in asked]
    batch = pa.record_batch([pa.array([p[i] for p in pairs], pa.binary()) for i in range(2)], names=["q", "d"])
    for limit, n_parts in ((10**9, 2), (1, 6)):
        monkeypatch.setattr(knn, "HELD_BYTES", limit)
        parts = [r for told in knn._streamed(iter([batch]), 4, found) for r in told.to_pylist()]
        assert len(parts) == n_parts
        best = []
        for queries in asked:
            of_one = [r for r in parts if r["queries"] == queries.tobytes()]
            best.append(reduce(merged, [Donors(*[np.frombuffer(r[c]).reshape(-1, 4, 5) for c in ("distance", "value")]) for r in of_one]))
        np.testing.assert_allclose(np.concatenate([b.distance for b in best]), whole.distance, atol=1e-9)
        np.testing.assert_allclose(np.concatenate([b.value for b in best]), whole.value)


def test_a_bounded_sample_of_donors_is_the_same_in_any_order(spark):
    train = holed(patients(200, 1), 0.2, 2)
    imputer = KNNImputer(inputCols=names(train), maxDonors=50, seed=3)
    fits = [imputer.fit(frame(spark, t).repartition(n))._kept_tables["donors"].collect() for t, n in ((train, 2), (train[::-1], 3))]
    one, other = (np.concatenate([np.frombuffer(r["donors"]).reshape(-1, 4) for r in fit]) for fit in fits)
    np.testing.assert_array_equal(one, other)
    assert one.shape == (50, 4) and {*np.nan_to_num(one)[:, 0]} <= {*np.nan_to_num(train)[:, 0]}


@pytest.mark.parametrize(
    ("name", "theirs", "tol"), [("linear", LinearRegression(), 0.0), ("bayesian", BayesianRidge(), 0.1)]
)
def test_rounds_of_regressions_are_those_of_scikit_learn(spark, tmp_path, name, theirs, tol):
    train, new = holed(patients(250, 1), 0.2, 2), holed(patients(60, 3), 0.3, 4)
    train[:, 3] = patients(250, 1)[:, 3]  # complete in the fit, not among the new
    low, high = [-np.inf, 0.0, 60.0, -np.inf], [np.inf, np.inf, 130.0, np.inf]
    want = TheirIterative(estimator=theirs, max_iter=3 if name == "bayesian" else 2, tol=tol, min_value=low, max_value=high).fit(train)
    made = IterativeImputer(
        inputCols=names(train), estimator=name, maxIter=3 if name == "bayesian" else 2, tol=tol, minValues=low, maxValues=high
    ).fit(frame(spark, train).repartition(3))
    made.save(str(tmp_path / "model"))
    model = IterativeImputerModel.load(str(tmp_path / "model"))
    assert model.nIter == want.n_iter_ == 2  # one at the end of its rounds, one because nothing moved
    found = matrix(model.transform(frame(spark, np.vstack([train, new]))), *names(train))
    np.testing.assert_allclose(found, np.vstack([want.transform(train), want.transform(new)]), **CLOSE)


def test_drawn_values_spread_as_the_known_ones_do(spark):
    whole = patients(1500, 1)
    train = holed(whole, 0.3, 2)
    gone = np.isnan(train)
    drawn = IterativeImputer(inputCols=names(train), samplePosterior=True, maxIter=2, seed=5).fit(frame(spark, train))
    found, again = (matrix(drawn.transform(frame(spark, t)), *names(train)) for t in (train, train[::-1]))
    np.testing.assert_array_equal(found, again[::-1])  # the draw hangs on the row, not on its place
    predicted = TheirIterative(max_iter=2).fit_transform(train)
    for j in range(4):
        spread, flat = (x[gone[:, j], j].std() / whole[:, j].std() for x in (found, predicted))
        assert 0.9 < spread < 1.1 and flat < 0.85  # predictions alone are too much alike


def test_a_column_without_any_value_stays_missing(spark):
    train = holed(patients(40, 1), 0.2, 2)
    train[:, 2] = np.nan
    rows_ = frame(spark, train)
    for stage in (KNNImputer(inputCols=names(train)), IterativeImputer(inputCols=names(train), maxIter=1)):
        found = matrix(stage.fit(rows_).transform(rows_), *names(train))
        assert np.isnan(found[:, 2]).all() and np.isfinite(found[:, [0, 1, 3]]).all()
