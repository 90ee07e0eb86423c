"""What a table of a TOML file says of each column is what happens, and what cannot be understood is told at once."""

from __future__ import annotations

import tomllib

import pytest
from pyspark.ml import Pipeline
from tests.tables import assert_rows, rows

from medlake.grammar.errors import ConfigError
from medlake.prepare import stages

DECLARED = """
[column.hb]
range = [20, 250]
action = "null"
missing = "mean"
group = ["sex"]
indicator = true

[column.crp]
missing = "median"
scale = "minmax"

[column.age]
missing = "drop"

[column.note]
missing = "constant"
fill = "none"

[column.sex]
missing = "ignore"
encode = "ordinal"
levels = ["F", "M"]
"""


def test_each_column_is_treated_as_declared(spark):
    people = rows(spark, None, """
        id | sex  | age  | hb     | crp  | note
        1  | F    | 50.0 | 120.0  | 0.0  | a
        2  | F    | 60.0 | 9999.0 | 2.0  | null
        3  | M    | 70.0 | 160.0  | null | c
        4  | M    | null | null   | 6.0  | d
        5  | null | 40.0 | null   | 10.0 | e
        6  | F    | 41.0 | 140.0  | null | f
    """, id="bigint", age="double", hb="double", crp="double")
    model = Pipeline(stages=stages(tomllib.loads(DECLARED)["column"])).fit(people)
    # 5 belongs to a group without any value of its own: the mean of all.
    assert_rows(model.transform(people), """
        id | sex  | sex_encoded | hb    | hb_original | hb_missing | crp | note | qc
        1  | F    | 0.0         | 120.0 | 120.0       | 0.0        | 0.0 | a    | []
        2  | F    | 0.0         | 130.0 | 9999.0      | 1.0        | 0.2 | none | [outlier_range_hb]
        3  | M    | 1.0         | 160.0 | 160.0       | 0.0        | 0.4 | c    | []
        5  | null | null        | 140.0 | null        | 1.0        | 1.0 | e    | []
        6  | F    | 0.0         | 140.0 | 140.0       | 0.0        | 0.4 | f    | []
    """)


def test_every_fault_is_told_at_once():
    wrong = {"hb": {"missing": "magic", "colour": 1}, "crp": {"missing": "constant"}, "age": {"outliers": "range"},
             "sex": {"missing": "knn", "group": ["ward"]}}  # fmt: skip
    with pytest.raises(ConfigError) as told:
        stages(wrong)
    for fault in (
        "column.hb: colour is not among missing, outliers",
        "column.hb: missing = 'magic' is not among ignore, drop",
        'column.crp: missing = "constant" needs fill',
        'column.age: outliers = "range" needs range',
        "column.sex: group goes with missing = mean, median or mode",
    ):
        assert fault in str(told.value)
