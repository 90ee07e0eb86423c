"""Reasons say direction and size, never a patient's value."""

from __future__ import annotations

from pyspark.sql import functions as F

from medlake.explain.weights import model_explanation, top_reasons
from tables import assert_rows, rows

NAMES = ["Age", "Is female", "Haemoglobin", "Visits"]
TYPES = {"prepared": "array<double>", "weights": "array<double>"}
CASES = """
    person_id | prepared               | weights
    1         | [2.0, -1.0, 0.5, 0.1]  | [0.5, 0.3, -0.4, 0.01]
    2         | [0.0, 0.0, 0.0, 0.0]   | [0.5, 0.3, -0.4, 0.01]
    3         | [1.0, 1.0, -1.0, -9.0] | [0.2, 0.2, 0.2, 0.4]
"""


def _reasons(spark, kind: str) -> dict[int, list[str]]:
    cases = rows(spark, None, CASES, person_id="bigint", **TYPES)
    said = cases.select("person_id", top_reasons(kind, NAMES).alias("reasons"))
    assert dict(said.dtypes)["reasons"] == "array<string>"
    return {r["person_id"]: r["reasons"] for r in said.collect()}


def test_coefficients_give_the_change_of_the_log_odds(spark):
    said = _reasons(spark, "coefficient")
    assert said[1] == [
        "Age: above average, raises the risk (+1.00 log-odds)",
        "Is female: below average, lowers the risk (-0.30 log-odds)",
        "Haemoglobin: above average, lowers the risk (-0.20 log-odds)",
    ]
    assert said[2] == [], "an average patient has no reasons"


def test_importances_say_where_the_patient_is_unusual_ties_by_position(spark):
    assert _reasons(spark, "importance")[3] == [
        "Visits: below average, weighs in the trees (3.60)",
        "Age: above average, weighs in the trees (0.20)",
        "Is female: above average, weighs in the trees (0.20)",
    ]


def test_every_feature_of_every_model_has_its_weight(spark):
    definitions = rows(spark, "gold.feature_def", """
        task | position | feature
        a    | 0        | age
        a    | 1        | female
        b    | 0        | hb
    """)  # fmt: skip
    weights = {
        ("a", "logistic"): ("coefficient", [0.5, -0.25]),
        ("a", "decision_tree"): ("importance", [1.0, 0.0]),
        ("b", "logistic"): ("coefficient", [2.0]),
    }
    assert_rows(model_explanation(definitions, weights), """
        task | model         | position | feature | weight | kind
        a    | logistic      | 0        | age     | 0.5    | coefficient
        a    | logistic      | 1        | female  | -0.25  | coefficient
        a    | decision_tree | 0        | age     | 1.0    | importance
        a    | decision_tree | 1        | female  | 0.0    | importance
        b    | logistic      | 0        | hb      | 2.0    | coefficient
    """)  # fmt: skip
    assert model_explanation(definitions, {}).where(F.lit(True)).collect() == []
