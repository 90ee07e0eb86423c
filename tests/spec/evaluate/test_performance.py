"""Figures of merit equal scikit-learn's; intervals, bins, curves and subgroups hold what they say."""

from __future__ import annotations

import numpy as np
import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import (
    accuracy_score,
    average_precision_score,
    brier_score_loss,
    precision_recall_curve,
    roc_auc_score,
)

from medlake.evaluate.card import model_card
from medlake.evaluate.metrics import auroc, bootstrap, recalibration, thinned
from medlake.evaluate.performance import (
    calibration_bin,
    evaluation_curve,
    model_evaluation,
    outcomes,
    subgroup_evaluation,
)
from medlake.evaluate.plots import performance_svg
from tables import assert_rows, rows

draw = np.random.default_rng(11)
N = 400
Y = draw.random(N) < 0.3
# Two decimals: many patients share a risk.
RISK = np.round(np.clip(0.25 * Y + draw.beta(2, 4, N), 0.01, 0.99), 2)


@pytest.fixture(scope="module")
def said(spark: SparkSession) -> DataFrame:
    data = [("t", "m", i, float(r), bool(y)) for i, (r, y) in enumerate(zip(RISK, Y, strict=True))]
    data += [("t", "all_alike", i, 0.5, bool(y)) for i, y in enumerate(Y[:20])]
    data += [("t", "one_outcome", i, float(r), False) for i, r in enumerate(RISK[:20])]
    frame = spark.createDataFrame(
        data, "task string, model string, person_id bigint, risk double, boolean_value boolean"
    )
    return frame.withColumn("index_at", F.lit("2020-01-01").cast("timestamp")).cache()


@pytest.fixture(scope="module")
def figures(said: DataFrame) -> dict[str, dict[str, tuple]]:
    found: dict[str, dict[str, tuple]] = {}
    for r in model_evaluation(said, n_replicates=200, seed=1).collect():
        found.setdefault(r["model"], {})[r["metric"]] = (r["value"], r["lower"], r["upper"], r["n"])
    return found


@pytest.mark.parametrize(
    ("metric", "theirs"),
    [
        ("auroc", roc_auc_score(Y, RISK)),
        ("auprc", average_precision_score(Y, RISK)),
        ("accuracy", accuracy_score(Y, RISK >= 0.5)),
        ("brier", brier_score_loss(Y, RISK)),
    ],
)
def test_metrics_equal_those_of_scikit_learn(figures, metric, theirs):
    value, lower, upper, n = figures["m"][metric]
    assert value == pytest.approx(theirs, abs=1e-9)
    assert lower < value < upper
    assert n == N


def test_calibration_equals_an_unpenalised_logistic_regression(figures):
    logit = np.log(RISK / (1 - RISK)).reshape(-1, 1)
    theirs = LogisticRegression(C=np.inf, tol=1e-10, max_iter=1000).fit(logit, Y)
    assert figures["m"]["calibration_slope"][0] == pytest.approx(theirs.coef_[0, 0], abs=1e-5)
    assert figures["m"]["calibration_intercept"][0] == pytest.approx(theirs.intercept_[0], abs=1e-5)


def test_what_is_not_defined_is_null_not_a_number(figures):
    assert figures["one_outcome"]["auroc"][:3] == (None, None, None)
    assert figures["one_outcome"]["brier"][0] is not None
    assert figures["all_alike"]["auroc"][0] == 0.5
    assert figures["all_alike"]["calibration_slope"][0] is None


def test_separated_risks_have_no_calibration_line():
    risk = np.array([0.1, 0.2, 0.8, 0.9])
    slope, intercept = recalibration(risk, np.array([0.0, 0, 5, 5]), np.array([5.0, 5, 0, 0]))
    assert np.isnan(slope)
    assert np.isnan(intercept)


def test_the_interval_is_as_wide_as_theory_says():
    lower, upper = bootstrap(np.arange(N), RISK, Y.astype(float), n_replicates=200, seed=1)["auroc"]
    area, n1, n0 = roc_auc_score(Y, RISK), Y.sum(), (~Y).sum()
    q1, q2 = area / (2 - area), 2 * area**2 / (1 + area)  # Hanley and McNeil 1982
    error = np.sqrt((area * (1 - area) + (n1 - 1) * (q1 - area**2) + (n0 - 1) * (q2 - area**2)) / (n1 * n0))
    assert upper - lower == pytest.approx(2 * 1.96 * error, rel=0.25)


def test_the_interval_is_by_patient_and_does_not_depend_on_order():
    person = np.repeat(
        np.arange(N // 4), 4
    )  # four predictions a patient, all alike: a quarter of the information
    risk, y = np.repeat(RISK[: N // 4], 4), np.repeat(Y[: N // 4], 4).astype(float)
    many = bootstrap(person, risk, y, n_replicates=100, seed=1)
    once = bootstrap(np.arange(N // 4), risk[::4], y[::4], n_replicates=100, seed=1)
    assert many["auroc"] == pytest.approx(once["auroc"])
    order = np.random.default_rng(0).permutation(N)
    assert bootstrap(person[order], risk[order], y[order], n_replicates=100, seed=1) == many


def test_repartitioned_predictions_give_the_same_rows(said):
    mixed = said.orderBy(F.desc("person_id")).repartition(4)
    a, b = (sorted(map(str, model_evaluation(x, n_replicates=20, seed=1).collect())) for x in (said, mixed))
    assert a == b


def test_bins_hold_all_predictions_in_order_of_risk(said):
    bins = sorted(calibration_bin(said.where("model = 'm'")).collect(), key=lambda r: r["bin"])
    assert sum(r["n"] for r in bins) == N
    assert [r["mean_risk"] for r in bins] == sorted(r["mean_risk"] for r in bins)
    assert sum(r["observed"] * r["n"] for r in bins) == pytest.approx(Y.sum())
    assert sum(r["mean_risk"] * r["n"] for r in bins) == pytest.approx(RISK.sum())
    assert_rows(calibration_bin(said.where("model = 'all_alike'")), f"""
        model     | bin | n  | mean_risk | observed
        all_alike | 5   | 20 | 0.5       | {Y[:20].mean():.9g}
    """)  # fmt: skip


def test_curves_have_at_most_100_points_and_the_area_they_should(said):
    points = evaluation_curve(said).collect()
    assert {r["model"] for r in points} == {"m", "all_alike"}, "one outcome has no curve"
    roc = sorted((r["position"], r["x"], r["y"]) for r in points if r["model"] == "m" and r["curve"] == "roc")
    assert 50 < len(roc) <= 100
    assert roc[0][1:] == (0, 0)
    assert roc[-1][1:] == (1, 1)
    assert np.trapezoid([p[2] for p in roc], [p[1] for p in roc]) == pytest.approx(
        roc_auc_score(Y, RISK), abs=0.002
    )
    pr = {(r["x"], r["y"]) for r in points if r["model"] == "m" and r["curve"] == "pr" and r["position"] > 0}
    precision, recall, _ = precision_recall_curve(Y, RISK)
    theirs = {(round(float(x), 9), round(float(y), 9)) for x, y in zip(recall, precision, strict=True)}
    assert pr <= theirs


def test_a_long_curve_is_thinned_and_keeps_its_ends():
    x = np.linspace(0, 1, 5001)
    a, b = thinned(x, x**2, 100)
    assert len(a) <= 100
    assert (a[0], a[-1]) == (0, 1)
    assert np.abs(np.interp(x, a, b) - x**2).max() < 0.001


def test_subgroups_are_by_sex_age_and_source(spark):
    said = rows(spark, "gold.risk_prediction", """
        task | model | person_id | index_at            | risk | fold
        t    | m     | 1         | 2020-01-01T00:00:00 | 0.9  | 0
        t    | m     | 2         | 2020-01-01T00:00:00 | 0.2  | 1
        t    | m     | 3         | 2020-01-01T00:00:00 | 0.4  | 1
        t    | m     | 4         | 2020-01-01T00:00:00 | 0.4  | null
    """)  # fmt: skip
    label = rows(spark, "gold.label", """
        task | person_id | index_at            | boolean_value
        t    | 1         | 2020-01-01T00:00:00 | true
        t    | 2         | 2020-01-01T00:00:00 | false
        t    | 3         | 2020-01-01T00:00:00 | true
    """)  # fmt: skip
    person = rows(spark, "silver.person", """
        person_id | gender_concept_id | year_of_birth | source
        1         | 8532              | 1950          | north
        2         | 8532              | 2003          | north
        3         | 0                 | null          | south
    """)  # fmt: skip
    assert_rows(subgroup_evaluation(outcomes(said, label), person), """
        subgroup | level   | n | n_positive | auroc | brier
        sex      | female  | 2 | 1          | 1.0   | 0.025
        sex      | unknown | 1 | 1          | null  | 0.36
        age_band | 65-79   | 1 | 1          | null  | 0.01
        age_band | 0-17    | 1 | 0          | null  | 0.04
        age_band | unknown | 1 | 1          | null  | 0.36
        source   | north   | 2 | 1          | 1.0   | 0.025
        source   | south   | 1 | 1          | null  | 0.36
    """)  # fmt: skip


def test_ties_count_half():
    assert auroc(np.array([0.5]), np.array([3.0]), np.array([4.0])) == 0.5


def test_a_card_says_what_the_model_must_not_be_used_for():
    card = model_card(
        task="t", about="About.", label_about="the outcome", model="m", model_about="A model", params={"c": 1.0},
        horizon_days=365, n_rows=10, n_positive=3, n_folds=5, seed=1, figures={"auroc": (0.8, 0.7, None)},
        top_features=[("Age", 0.5)], kind="coefficient", must_not_be_used_for="Not for triage.",
        tables={"gold.label": 3}, code_version="0.1",
    )  # fmt: skip
    for words in (
        "Not for triage.",
        "| Area under the ROC curve | 0.800 | 0.700 to not defined |",
        "gold.label@3",
        "Age (+0.500)",
    ):
        assert words in card


def test_the_picture_is_one_svg():
    line = [(0.0, 0.0), (1.0, 1.0)]
    svg = performance_svg("t: m", roc=line, pr=line, calibration=line, prevalence=0.3)
    assert svg.lstrip().startswith("<?xml")
    assert svg.rstrip().endswith("</svg>")
