"""Tasks are data: their files are checked, their SQL gives cohorts, labels and folds."""

from __future__ import annotations

import pytest
from pyspark.sql import functions as F

from medlake.doors.settings import Conf
from medlake.features.baskets import baskets, item_names
from medlake.features.splits import subject_split
from medlake.features.tasks import as_candidates, cohort, labels, parse_task, parse_tasks
from medlake.grammar.errors import ConfigError
from medlake.models import MODELS
from tables import assert_rows, rows

SHIPPED = parse_tasks(Conf().texts("tasks", suffix=".toml"), Conf().texts("tasks", suffix=".sql"))


def test_every_fault_of_a_task_is_listed_at_once():
    with pytest.raises(ConfigError) as caught:
        parse_task("t", 'about = "x"\nfeatures = ["ages"]\nhorizon = 3', None)
    for fault in (
        "label_about",
        "horizon_days",
        "models",
        "must_not_be_used_for",
        "'ages'",
        "unknown entry horizon",
        "t.sql",
    ):
        assert fault in str(caught.value)


def test_the_shipped_tasks_name_known_models_and_parameters():
    assert {"breast_cancer", "diabetes_progression", "emergency_within_year", "patient_groups"} <= {
        t.name for t in SHIPPED
    }
    for task in SHIPPED:
        for model in task.models:
            assert MODELS[model].with_params(task.model_params.get(model, {}))
        assert len(task.must_not_be_used_for) > 50


def test_an_sql_without_the_promised_columns_is_refused(spark):
    with pytest.raises(ConfigError, match="index_at timestamp"):
        as_candidates(spark.sql("SELECT 1L AS person_id, true AS boolean_value"), "t")


def _sql(name: str) -> str:
    return next(t.cohort_sql for t in SHIPPED if t.name == name)


def test_emergency_within_a_year_looks_from_the_last_day_with_a_year_of_follow_up(spark):
    rows(spark, "silver.visit_occurrence", """
        person_id | visit_concept_id | visit_start_datetime | visit_end_datetime
        1         | 9202             | 2018-03-01T10:00:00  | 2018-03-01T11:00:00
        1         | 9202             | 2019-03-01T10:00:00  | 2019-03-03T11:00:00
        1         | 9203             | 2020-01-05T10:00:00  | null
        1         | 9202             | 2020-06-01T10:00:00  | null
        2         | 9202             | 2019-03-01T10:00:00  | null
        2         | 9203             | 2019-03-01T22:00:00  | null
        2         | 9202             | 2020-06-01T10:00:00  | null
        3         | 9203             | 2020-01-01T10:00:00  | null
        3         | 9203             | 2020-03-01T10:00:00  | null
    """).createOrReplaceTempView("visit_occurrence")  # fmt: skip
    found = as_candidates(spark.sql(_sql("emergency_within_year")), "emergency")
    # 1: emergency ten months later. 2: the emergency of the index day itself is history, none follows. 3: no year yet.
    assert_rows(found, """
        task      | person_id | index_at            | boolean_value
        emergency | 1         | 2019-03-04T00:00:00 | true
        emergency | 2         | 2019-03-02T00:00:00 | false
        emergency | 3         | 2020-03-02T00:00:00 | null
    """)  # fmt: skip
    assert {r["person_id"] for r in labels(found).collect()} == {1, 2}
    assert cohort(found).columns == ["task", "person_id", "index_at"]


def test_the_outcome_of_a_table_task_is_dated_before_the_index_time(spark):
    rows(spark, "silver.observation", """
        person_id | observation_datetime | observation_source_vocabulary | observation_source_value | value_as_string | value_as_number
        1         | 2020-01-01T08:00:00  | breast_cancer | diagnosis   | Malignant | null
        2         | 2020-01-01T08:00:00  | breast_cancer | diagnosis   | benign    | null
        3         | 2020-01-01T08:00:00  | diabetes      | progression | null      | 100.0
        4         | 2020-01-01T08:00:00  | diabetes      | progression | null      | 150.0
        5         | 2020-01-01T08:00:00  | diabetes      | progression | null      | 200.0
    """).createOrReplaceTempView("observation")  # fmt: skip
    found = as_candidates(spark.sql(_sql("breast_cancer")), "b").unionByName(
        as_candidates(spark.sql(_sql("diabetes_progression")), "d")
    )
    assert_rows(found, """
        task | person_id | index_at            | boolean_value
        b    | 1         | 2020-01-02T00:00:00 | true
        b    | 2         | 2020-01-02T00:00:00 | false
        d    | 3         | 2020-01-02T00:00:00 | false
        d    | 4         | 2020-01-02T00:00:00 | false
        d    | 5         | 2020-01-02T00:00:00 | true
    """)  # fmt: skip


def test_folds_are_by_patient_equal_by_outcome_and_independent_of_order(spark):
    label = spark.range(200).select(
        F.lit("t").alias("task"), (F.col("id") % 100).alias("person_id"),
        F.timestamp_seconds(F.col("id") * 86400).alias("index_at"), (F.col("id") % 4 == 0).alias("boolean_value"),
    )  # fmt: skip
    split = subject_split(label, n_folds=5, seed=7)
    assert split.count() == 100, "one fold per patient, though each has two index times"
    sizes = label.join(split, ["task", "person_id"]).groupBy("fold", "boolean_value").count().collect()
    assert {(r["boolean_value"], r["count"]) for r in sizes} == {(True, 10), (False, 30)}
    again = subject_split(label.orderBy(F.desc("index_at")).repartition(7), n_folds=5, seed=7)
    assert sorted(split.collect()) == sorted(again.collect())
    other = subject_split(label, n_folds=5, seed=8)
    assert sorted(split.collect()) != sorted(other.collect())


def test_a_basket_is_a_set_and_an_item_has_its_most_frequent_name(spark):
    condition = rows(spark, "silver.condition_occurrence", """
        person_id | condition_source_vocabulary | condition_source_value | condition_source_name | source
        1         | SNOMED | 44 | Hypertension | north
        1         | SNOMED | 44 | High BP      | north
        2         | SNOMED | 44 | Hypertension | north
        2         | null   | 7  | null         | south
    """)  # fmt: skip
    drug = rows(spark, "silver.drug_exposure", """
        person_id | drug_source_vocabulary | drug_source_value | drug_source_name | source
        1         | RxNorm | 1 | B | north
        1         | RxNorm | 1 | A | north
    """)  # fmt: skip
    assert_rows(baskets(condition, drug), """
        person_id | items
        1         | [RxNorm//1, SNOMED//44]
        2         | [SNOMED//44, south//7]
    """)  # fmt: skip
    assert_rows(item_names(condition, drug), """
        item       | name
        RxNorm//1  | A
        SNOMED//44 | Hypertension
        south//7   | south//7
    """)  # fmt: skip
