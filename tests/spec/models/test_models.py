"""The models on real patients, beside scikit-learn on the same folds; and what must hold for every model."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from pyspark.ml.functions import vector_to_array
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from sklearn.datasets import load_breast_cancer, load_diabetes
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier

from medlake.features.splits import subject_split
from medlake.grammar.errors import ConfigError
from medlake.models import MODELS
from medlake.models.fitting import scored, trained
from medlake.models.model import as_training_rows, rounded_numbers
from medlake.models.preparation import Preparation

SEED, N_FOLDS, CLOSE = 7, 5, 0.02
PEERS = {
    "logistic": lambda: LogisticRegression(C=1.0, max_iter=1000),
    "linear_svm": lambda: SVC(kernel="linear", C=0.1, class_weight="balanced"),
    "decision_tree": lambda: DecisionTreeClassifier(max_depth=4, min_samples_leaf=10, random_state=SEED),
    "random_forest": lambda: RandomForestClassifier(60, max_depth=5, min_samples_leaf=2, random_state=SEED),
}


@dataclass(frozen=True)
class Tried:
    """Risks of all patients by patient and model, the outcome, the folds and the digests."""

    x: np.ndarray
    y: np.ndarray
    fold: np.ndarray
    risk: dict[str, np.ndarray]
    digest: dict[str, str]


def cases(spark: SparkSession, x: np.ndarray, y: np.ndarray) -> DataFrame:
    data = [
        (i, [None if np.isnan(v) else float(v) for v in row], bool(label))
        for i, (row, label) in enumerate(zip(x, y, strict=True))
    ]
    frame = spark.createDataFrame(data, "person_id bigint, features array<double>, boolean_value boolean")
    frame = frame.withColumns({"task": F.lit("t"), "index_at": F.lit("2020-01-01").cast("timestamp")})
    return frame.join(subject_split(frame, n_folds=N_FOLDS, seed=SEED), on=["task", "person_id"]).drop("task")


def tried(
    spark: SparkSession, x: np.ndarray, y: np.ndarray, names: tuple[str, ...] = tuple(MODELS), **mix: int
) -> Tried:
    rows = cases(spark, x, y)
    rows = rows.orderBy(F.desc("person_id")).repartition(mix["partitions"]) if mix else rows
    fold = np.array([r["fold"] for r in rows.select("person_id", "fold").orderBy("person_id").collect()])
    fits = trained(rows, [MODELS[n] for n in names], n_features=x.shape[1], seed=SEED)
    risk = {}
    for fit in fits:
        said = fit.out_of_fold.select("person_id", "risk", "fold").toPandas().sort_values("person_id")
        assert said["person_id"].is_unique
        assert (said["fold"].to_numpy() == fold).all()
        risk[fit.model.name] = said["risk"].to_numpy()
    return Tried(x, y, fold, risk, {fit.model.name: fit.digest for fit in fits})


@pytest.fixture(scope="module")
def breast_cancer(spark: SparkSession) -> Tried:
    data = load_breast_cancer()
    return tried(spark, data.data, data.target == 0)


@pytest.fixture(scope="module")
def diabetes(spark: SparkSession) -> Tried:
    data = load_diabetes()
    return tried(spark, data.data, data.target > np.median(data.target))


def peer(t: Tried, name: str) -> np.ndarray:
    """scikit-learn's out-of-fold answers on the same folds."""
    said = np.zeros(len(t.y))
    for fold in range(N_FOLDS):
        held_out = t.fold == fold
        model = make_pipeline(StandardScaler(), PEERS[name]()).fit(t.x[~held_out], t.y[~held_out])
        said[held_out] = (
            model.decision_function(t.x[held_out])
            if name == "linear_svm"
            else model.predict_proba(t.x[held_out])[:, 1]
        )
    return said


def test_breast_cancer_linear_svm_is_right_in_95_of_100(breast_cancer):
    assert accuracy_score(breast_cancer.y, breast_cancer.risk["linear_svm"] >= 0.5) >= 0.95


@pytest.mark.parametrize("name", ["random_forest", "linear_svm"])
def test_diabetes_progression_is_told_apart(diabetes, name):
    assert roc_auc_score(diabetes.y, diabetes.risk[name]) >= 0.80


@pytest.mark.parametrize("name", list(MODELS))
@pytest.mark.parametrize("data", ["breast_cancer", "diabetes"])
def test_each_result_is_close_to_that_of_scikit_learn(request, data, name):
    t: Tried = request.getfixturevalue(data)
    theirs = peer(t, name)
    assert roc_auc_score(t.y, t.risk[name]) == pytest.approx(roc_auc_score(t.y, theirs), abs=CLOSE)
    threshold = 0 if name == "linear_svm" else 0.5
    ours, right = accuracy_score(t.y, t.risk[name] >= 0.5), accuracy_score(t.y, theirs >= threshold)
    assert ours == pytest.approx(right, abs=CLOSE) or ours > right


def test_shuffled_and_repartitioned_rows_give_the_same_risks_and_models(spark, diabetes):
    again = tried(spark, diabetes.x, diabetes.y, partitions=5)
    assert again.digest == diabetes.digest
    for name, risk in diabetes.risk.items():
        assert (risk == again.risk[name]).all()


def test_permuted_labels_give_chance(spark):
    draw = np.random.default_rng(2)
    x = load_diabetes().data[:400]
    areas = []
    for _ in range(2):
        y = draw.permutation(np.arange(400) % 2 == 0)
        t = tried(spark, x, y, ("logistic", "decision_tree"))
        areas += [roc_auc_score(y, risk) for risk in t.risk.values()]
    assert np.mean(areas) == pytest.approx(0.5, abs=0.06)


def test_preparation_learns_from_training_rows_only_and_fills_in_their_mean(spark):
    data = [(1, [1.0, None, 7.0]), (2, [3.0, None, 7.0]), (3, [None, 2.0, 8.0]), (4, [101.0, None, 9.0])]
    rows = spark.createDataFrame(data, "person_id bigint, features array<double>")
    fitted = Preparation(3).fit(rows.where("person_id <= 2"))
    said = fitted.transform(rows).select("person_id", vector_to_array(F.col("prepared")).alias("p")).collect()
    root = 2**-0.5
    assert {r["person_id"]: r["p"] for r in said} == {
        1: pytest.approx([-root, 0, 0]),  # no value in training, and no spread in training: 0
        2: pytest.approx([root, 0, 0]),
        3: pytest.approx([0, 0, 0]),  # missing: the training mean
        4: pytest.approx([99 * root, 0, 0]),
    }


def test_both_outcomes_weigh_the_same_in_a_fit(spark):
    rows = spark.createDataFrame([(i, i == 0) for i in range(4)], "person_id bigint, boolean_value boolean")
    said = as_training_rows(rows).orderBy("person_id").collect()
    assert [(r["label"], r["class_weight"]) for r in said] == [(1.0, 2.0)] + [(0.0, 2 / 3)] * 3


@pytest.mark.parametrize("model", MODELS.values(), ids=list(MODELS))
def test_a_model_builds_explains_and_scores_new_patients_as_it_says(spark, model):
    data = load_diabetes()
    rows = cases(spark, data.data[:150], (data.target > 140)[:150])
    ready = as_training_rows(rows).coalesce(1).sortWithinPartitions("person_id")
    fitted = model.build(10, SEED, n_rows=150).fit(ready)
    weights = model.weights(fitted.stages)
    assert len(weights) == 10
    if model.kind == "importance":
        assert sum(weights) == pytest.approx(1)
    assert len(model.digest(fitted)) == 64
    said = scored(rows.limit(5).drop("fold"), model, fitted).collect()
    assert all(0 <= r["risk"] <= 1 and r["fold"] is None and len(r["prepared"]) == 10 for r in said)
    assert all(r["risk"] == round(r["risk"], 6) for r in said)


def test_an_unknown_parameter_is_refused():
    with pytest.raises(ConfigError, match="max_depth, min_rows, not depth"):
        MODELS["decision_tree"].with_params({"depth": 3})


def test_a_digest_does_not_see_the_last_bits_of_a_number():
    assert rounded_numbers("If (x <= 0.12345678912)") == rounded_numbers("If (x <= 0.12345678908)")
    assert rounded_numbers("1.5e-05 7") == "1.5e-05 7"
