"""Judging events: types, persons, times, duplicates; what is required sets a row aside, the rest flags it."""

from __future__ import annotations

from pyspark.sql import SparkSession
from pyspark.sql import functions as F
from tests.tables import assert_rows, rows

from medlake.clean import condition_occurrence, measurement, person
from medlake.clean.judge import Vault, judge, mapped_union, tallied
from medlake.clean.values import number_of, operator_of
from medlake.grammar.contract import promise


def vault(spark: SparkSession) -> Vault:
    keys = rows(spark, None, """
        patient_source | person_source_value | person_id | event_key | shift_days | born_on    | died_at             | deny_names | deny_ids
        here           | p1                  | 1         | k1        | -10        | 1980-05-05 | 2020-06-01T00:00:00 | null       | null
    """, person_id="bigint", shift_days="int", born_on="date", died_at="timestamp")
    return Vault(keys, "2024-01-01")


def judged(spark: SparkSession, text: str):
    mapped = rows(spark, None, text)
    event = condition_occurrence.EVENT
    return judge(mapped_union(event, {"here": ("here", mapped)}), event, promise("silver.condition_occurrence"), vault(spark))


def test_each_rule_finds_what_it_is_for(spark: SparkSession) -> None:
    found = judged(spark, """
        person_source_value | condition_source_value | condition_start_datetime | condition_end_datetime
        p1                  | sound                  | 2010-01-01T10:00:00      | 2010-01-02
        p1                  | impossible             | 2010-02-30               | null
        p1                  | bad end                | 2010-01-01               | soon
        p1                  | backwards              | 2010-01-05               | 2010-01-01
        p1                  | unborn                 | 1970-01-01               | null
        p1                  | late                   | 2020-06-02               | null
        p1                  | ahead                  | 2031-01-01               | null
        p1                  | ancient                | 1850-01-01               | null
        nobody              | orphan                 | 2010-01-01               | null
        p1                  | null                   | 2010-01-01               | null
        p1                  | undated                | null                     | null
    """)
    assert_rows(found, """
        condition_source_value | qc                              | reason_codes
        sound                  | []                              | []
        impossible             | []                              | [type_condition_start_datetime]
        bad end                | [type_condition_end_datetime]   | []
        backwards              | [end_before_start]              | []
        unborn                 | [before_birth]                  | []
        late                   | [after_death]                   | []
        ahead                  | [after_death]                   | [date_in_future]
        ancient                | [before_birth]                  | [before_1900]
        orphan                 | []                              | [orphan_person]
        null                   | []                              | [required_condition_source_value]
        undated                | []                              | [required_condition_start_datetime]
    """)


def test_a_partial_date_keeps_its_precision_as_a_flag(spark: SparkSession) -> None:
    """p1 was born on 5 May 1980 and died on 1 June 2020: what lies in the same year or month is not before or after."""
    found = judged(spark, """
        person_source_value | condition_source_value | condition_start_datetime | condition_end_datetime
        p1                  | year                   | 2019                     | null
        p1                  | month                  | 2019-05                  | 2019-07
        p1                  | day                    | 2019-05-01               | 2019-05-01T10:00:00
        p1                  | year of birth          | 1980                     | null
        p1                  | month of birth         | 1980-05                  | null
        p1                  | year before birth      | 1979                     | null
        p1                  | month before birth     | 1980-04                  | null
        p1                  | year of death          | 2020                     | null
        p1                  | year after death       | 2021                     | null
        p1                  | ends in its year       | 2019-05-20               | 2019
        p1                  | ends in its month      | 2019-05-20               | 2019-05
        p1                  | ends the month before  | 2019-05-20               | 2019-04
        p1                  | ends the year before   | 2019                     | 2018
        p1                  | no month               | 2019-13                  | null
    """)
    start, end = "condition_start_datetime", "condition_end_datetime"
    assert_rows(found, f"""
        condition_source_value | {start}              | {end}               | qc                                                      | reason_codes
        year                   | 2019-01-01T00:00:00  | null                | [year_only_{start}]                                     | []
        month                  | 2019-05-01T00:00:00  | 2019-07-01T00:00:00 | [month_only_{start}, month_only_{end}]                  | []
        day                    | 2019-05-01T00:00:00  | 2019-05-01T10:00:00 | []                                                      | []
        year of birth          | 1980-01-01T00:00:00  | null                | [year_only_{start}]                                     | []
        month of birth         | 1980-05-01T00:00:00  | null                | [month_only_{start}]                                    | []
        year before birth      | 1979-01-01T00:00:00  | null                | [year_only_{start}, before_birth]                       | []
        month before birth     | 1980-04-01T00:00:00  | null                | [month_only_{start}, before_birth]                      | []
        year of death          | 2020-01-01T00:00:00  | null                | [year_only_{start}]                                     | []
        year after death       | 2021-01-01T00:00:00  | null                | [year_only_{start}, after_death]                        | []
        ends in its year       | 2019-05-20T00:00:00  | 2019-01-01T00:00:00 | [year_only_{end}]                                       | []
        ends in its month      | 2019-05-20T00:00:00  | 2019-05-01T00:00:00 | [month_only_{end}]                                      | []
        ends the month before  | 2019-05-20T00:00:00  | 2019-04-01T00:00:00 | [month_only_{end}, end_before_start]                    | []
        ends the year before   | 2019-01-01T00:00:00  | 2018-01-01T00:00:00 | [year_only_{start}, year_only_{end}, end_before_start]  | []
        no month               | null                 | null                | []                                                      | [type_{start}]
    """)


def test_a_death_without_day_ends_no_life_on_a_day(spark: SparkSession) -> None:
    deaths = rows(spark, None, """
        source | person_source_value | death_datetime      | qc                         | reason_codes
        here   | p1                  | 2019-01-01T00:00:00 | [year_only_death_datetime] | []
        here   | p2                  | 2019-03-02T00:00:00 | []                         | []
        here   | p3                  | 2019-03-01T00:00:00 | []                         | [orphan_person]
    """, death_datetime="timestamp", qc="array<string>", reason_codes="array<string>")
    known = rows(spark, "vault.identity", "source | person_source_value\nhere | p1\nhere | p2\nhere | p3")
    fit = known.select("source", "person_source_value", *[F.lit(None).cast("string").alias(c) for c in person.IDENTITY])
    assert_rows(person.identities(fit, deaths), """
        person_source_value | death_datetime
        p1                  | null
        p2                  | 2019-03-02T00:00:00
        p3                  | null
    """)


def test_rows_in_are_kept_set_aside_or_merged(spark: SparkSession) -> None:
    found = judged(spark, """
        person_source_value | condition_source_value | condition_start_datetime | event_source_value
        p1                  | twice                  | 2010-01-01               | null
        p1                  | twice                  | 2010-01-01               | null
        p1                  | told                   | 2010-01-01               | e1
        p1                  | told again             | 2010-01-02               | e1
        nobody              | orphan                 | 2010-01-01               | null
    """)
    assert_rows(tallied(found), """
        person_source_value | rule            | rows_in | rows_kept | rows_quarantined | rows_merged | is_blocking
        p1                  |                 | 4       | 2         | 0                | 2           | false
        nobody              |                 | 1       | 0         | 1                | 0           | false
        nobody              | orphan_person   | 1       | 0         | 1                | 0           | true
    """)


def test_blanks_around_a_value_are_no_part_of_it(spark: SparkSession) -> None:
    found = judged(spark, """
        person_source_value | condition_source_value | condition_start_datetime
        p1\\t               | \\tcode                 | 2010-01-01
    """)
    assert_rows(found, """
        condition_source_value | reason_codes
        code                   | []
    """)


def test_a_result_keeps_all_it_said(spark: SparkSession) -> None:
    said = rows(spark, None, """
        text
        14.0
        >90
        <=0,01
        1,234.5
        -3e2
        neg
        1:40
        120/80
        ≥ 5
        null
    """)
    found = said.select("text", number_of(F.col("text")).alias("number"), operator_of(F.col("text")).alias("operator"))
    assert_rows(found, """
        text    | number | operator
        14.0    | 14.0   | null
        >90     | 90.0   | >
        <=0,01  | 0.01   | <=
        1,234.5 | 1234.5 | null
        -3e2    | -300.0 | null
        neg     | null   | null
        1:40    | null   | null
        120/80  | null   | null
        ≥ 5     | 5.0    | >=
        null    | null   | null
    """)


def test_a_value_is_expressed_in_the_canonical_unit_of_its_code(spark: SparkSession) -> None:
    units = rows(spark, None, """
        code    | unit    | factor | shift | canonical_unit | low  | high
        29463-7 | kg      | 1.0    | 0.0   | kg             | 0.3  | 650.0
        29463-7 | [lb_av] | 0.5    | 0.0   | kg             | 0.3  | 650.0
        8310-5  | [degF]  | 0.5    | -16.0 | Cel            | null | null
        null    | mg/dL   | 1.0    | 0.0   | mg/dL          | null | null
    """, factor="double", shift="double", low="double", high="double")
    given = rows(spark, "silver.measurement", """
        measurement_source_value | value_as_number | unit_source_value | qc
        29463-7                  | 80.0            | kg                | []
        29463-7                  | 160.0           | [lb_av]           | []
        29463-7                  | 9000.0          | kg                | []
        8310-5                   | 100.0           | [degF]            | []
        x                        | 5.0             | mg/dL             | []
        x                        | 5.0             | furlong           | []
        x                        | 5.0             | null              | []
    """)
    assert_rows(measurement.to_canonical_unit(given, units), """
        measurement_source_value | unit_source_value | value_std | unit_std | qc
        29463-7                  | kg                | 80.0      | kg       | []
        29463-7                  | [lb_av]           | 80.0      | kg       | [unit_converted]
        29463-7                  | kg                | 9000.0    | kg       | [value_out_of_range]
        8310-5                   | [degF]            | 34.0      | Cel      | [unit_converted]
        x                        | mg/dL             | 5.0       | mg/dL    | []
        x                        | furlong           | null      | null     | [unit_unknown]
        x                        | null              | 5.0       | null     | []
    """)
