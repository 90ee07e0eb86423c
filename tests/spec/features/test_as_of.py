"""Features end at the index time, whatever is recorded later."""

from __future__ import annotations

import pytest
from pyspark.sql import DataFrame, SparkSession

from medlake.features.as_of import ages, distinct_counts, ever_had, last_measurements, sexes, visit_counts
from medlake.features.matrix import Silver, Sizes, definitions, feature_def, feature_matrix, feature_values
from tables import assert_rows, rows

COHORT = """
    task | person_id | index_at
    risk | 1         | 2020-01-01T00:00:00
    risk | 2         | 2020-01-01T00:00:00
"""
CONDITIONS = """
    person_id | condition_source_vocabulary | condition_source_value | condition_source_name | condition_start_datetime | source
    1         | SNOMED                      | 44                     | Hypertension          | 2019-05-01T00:00:00      | north
    1         | SNOMED                      | 44                     | High blood pressure   | 2019-06-01T00:00:00      | north
    1         | SNOMED                      | 44                     | Hypertension          | 2019-07-01T00:00:00      | north
    2         | SNOMED                      | 44                     | Hypertension          | 2018-01-01T00:00:00      | north
    2         | SNOMED                      | 73                     | Diabetes              | 2019-12-31T23:59:59      | north
    1         | SNOMED                      | 73                     | Diabetes              | 2020-01-01T00:00:00      | north
    1         | null                        | K9                     | null                  | 2017-01-01T00:00:00      | south
"""
MEASUREMENTS = """
    measurement_id | person_id | measurement_source_vocabulary | measurement_source_value | measurement_datetime | value_as_number | value_std | unit_std | unit_source_value | source | qc
    1              | 1         | LOINC                         | hb                       | 2019-01-01T00:00:00  | 14.0            | 140.0     | g/L      | g/dL              | north  | []
    2              | 1         | LOINC                         | hb                       | 2019-02-01T00:00:00  | 15.0            | 150.0     | g/L      | g/dL              | north  | []
    3              | 1         | LOINC                         | hb                       | 2019-03-01T00:00:00  | 900.0           | 9000.0    | g/L      | g/dL              | north  | [value_out_of_range]
    4              | 1         | LOINC                         | hb                       | 2020-01-01T00:00:00  | 12.0            | 120.0     | g/L      | g/dL              | north  | []
    5              | 2         | LOINC                         | k                        | 2019-02-01T00:00:00  | 4.0             | null      | null     | mmol/L            | south  | []
    6              | 2         | LOINC                         | k                        | 2019-02-01T00:00:00  | 4.5             | null      | null     | mmol/L            | south  | []
    7              | 2         | LOINC                         | na                       | 2019-02-01T00:00:00  | null            | null      | null     | null              | south  | []
"""


@pytest.fixture(scope="module")
def cohort(spark: SparkSession) -> DataFrame:
    return rows(spark, "gold.cohort", COHORT)


def conditions(spark: SparkSession, text: str = CONDITIONS) -> DataFrame:
    return rows(spark, "silver.condition_occurrence", text)


def measurements(spark: SparkSession, text: str = MEASUREMENTS) -> DataFrame:
    return rows(spark, "silver.measurement", text).selectExpr(
        "*", "cast(null as string) as measurement_source_name"
    )


def test_a_condition_counts_only_when_recorded_before_the_index_time(spark, cohort):
    assert_rows(ever_had(cohort, conditions(spark), "condition", top=5), """
        person_id | feature               | name         | value | absent | top
        1         | condition//SNOMED//44 | Hypertension | 1.0   | 0.0    | 5
        1         | condition//south//K9  | south//K9    | 1.0   | 0.0    | 5
        2         | condition//SNOMED//44 | Hypertension | 1.0   | 0.0    | 5
        2         | condition//SNOMED//73 | Diabetes     | 1.0   | 0.0    | 5
    """)  # fmt: skip


def test_different_codes_are_counted_once(spark, cohort):
    assert_rows(distinct_counts(cohort, conditions(spark), "condition"), """
        person_id | feature      | value | unit
        1         | n_conditions | 2.0   | conditions
        2         | n_conditions | 2.0   | conditions
    """)  # fmt: skip


def test_the_last_usable_value_before_the_index_time_counts(spark, cohort):
    assert_rows(last_measurements(cohort, measurements(spark)), """
        person_id | feature                | value | unit   | absent
        1         | measurement//LOINC//hb | 150.0 | g/L    | null
        2         | measurement//LOINC//k  | 4.5   | mmol/L | null
    """)  # fmt: skip


def test_the_measurements_of_one_source_can_be_asked_for(spark, cohort):
    assert_rows(last_measurements(cohort, measurements(spark), source="north"), """
        person_id | feature                | value
        1         | measurement//LOINC//hb | 150.0
    """)  # fmt: skip


def test_visits_count_in_the_365_days_before_the_index_time(spark, cohort):
    visits = rows(spark, "silver.visit_occurrence", """
        person_id | visit_concept_id | visit_start_datetime
        1         | 9203             | 2019-01-01T00:00:00
        1         | 9203             | 2018-12-31T23:59:59
        1         | 9201             | 2019-12-31T00:00:00
        1         | 9202             | 2020-01-01T00:00:00
        2         | 0                | 2019-06-01T00:00:00
        2         | 0                | 2019-06-02T00:00:00
    """)  # fmt: skip
    assert_rows(visit_counts(cohort, visits), """
        person_id | feature           | value
        1         | visits//emergency | 1.0
        1         | visits//inpatient | 1.0
        2         | visits//other     | 2.0
    """)  # fmt: skip


def test_age_and_sex_are_missing_where_they_are_unknown(spark, cohort):
    person = rows(spark, "silver.person", """
        person_id | gender_concept_id | year_of_birth
        1         | 8532              | 1950
        2         | 0                 | null
    """)  # fmt: skip
    assert_rows(ages(cohort, person).unionByName(sexes(cohort, person)), """
        person_id | feature | value
        1         | age     | 70.0
        2         | age     | null
        1         | female  | 1.0
        2         | female  | null
    """)  # fmt: skip


def silver(spark: SparkSession, conditions_text: str, measurements_text: str) -> Silver:
    person = rows(spark, "silver.person", """
        person_id | gender_concept_id | year_of_birth
        1         | 8532              | 1950
        2         | 8507              | 1980
    """)  # fmt: skip
    visits = rows(spark, "silver.visit_occurrence", "person_id | visit_concept_id | visit_start_datetime")
    drugs = rows(
        spark, "silver.drug_exposure",
        "person_id | drug_source_vocabulary | drug_source_value | drug_source_name | drug_exposure_start_datetime | source",
    )  # fmt: skip
    of_conditions = conditions(spark, conditions_text)
    return Silver(person, visits, of_conditions, drugs, measurements(spark, measurements_text))


GROUPS = {"risk": ("age", "counts", "conditions", "measurements")}


def matrix(spark: SparkSession, cohort: DataFrame, of: Silver, sizes: Sizes) -> tuple[DataFrame, DataFrame]:
    values = feature_values(cohort, of, GROUPS, sizes)
    kept = definitions(values)
    return feature_def(kept), feature_matrix(cohort, values, kept)


def test_the_most_frequent_codes_become_features_in_a_fixed_order(spark, cohort):
    named, filled = matrix(spark, cohort, silver(spark, CONDITIONS, MEASUREMENTS), Sizes(1, 1, 1))
    assert_rows(named, """
        task | position | feature                | about                         | unit       | source_table
        risk | 0        | age                    | Age at the index time         | years      | person
        risk | 1        | n_conditions           | Different conditions recorded so far | conditions | condition_occurrence
        risk | 2        | condition//SNOMED//44  | Hypertension                  | null       | condition_occurrence
        risk | 3        | measurement//LOINC//hb | LOINC//hb                     | g/L        | measurement
    """)  # fmt: skip
    assert_rows(filled, """
        task | person_id | features
        risk | 1         | [70.0, 2.0, 1.0, 150.0]
        risk | 2         | [40.0, 2.0, 1.0, null]
    """)  # fmt: skip


def test_a_planted_future_changes_nothing(spark, cohort):
    future_conditions = CONDITIONS + (
        "    2 | SNOMED | 99 | Future disease | 2020-01-01T00:00:01 | north\n"
        "    1 | SNOMED | 99 | Future disease | 2021-01-01T00:00:00 | north\n"
    )
    future_measurements = MEASUREMENTS + (
        "    90 | 1 | LOINC | hb | 2020-06-01T00:00:00 | 1.0 | 1.0 | g/L | g/L | north | []\n"
        "    91 | 2 | LOINC | crp | 2020-06-01T00:00:00 | 1.0 | 1.0 | g/L | g/L | north | []\n"
    )
    for now, later in zip(
        matrix(spark, cohort, silver(spark, CONDITIONS, MEASUREMENTS), Sizes()),
        matrix(spark, cohort, silver(spark, future_conditions, future_measurements), Sizes()),
        strict=True,
    ):
        assert sorted(map(str, now.collect())) == sorted(map(str, later.collect()))


def test_shuffled_and_repartitioned_events_give_the_same_rows(spark, cohort):
    of = silver(spark, CONDITIONS, MEASUREMENTS)
    other = Silver(
        of.person.repartition(3),
        of.visit_occurrence,
        of.condition_occurrence.orderBy("condition_source_value").repartition(3),
        of.drug_exposure,
        of.measurement.orderBy("measurement_id").repartition(4),
    )
    for a, b in zip(
        matrix(spark, cohort, of, Sizes(1, 1, 1)), matrix(spark, cohort, other, Sizes(1, 1, 1)), strict=True
    ):
        assert sorted(map(str, a.collect())) == sorted(map(str, b.collect()))
