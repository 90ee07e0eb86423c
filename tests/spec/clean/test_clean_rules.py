"""What other records of a person, their codes and their ages tell: a text table for each rule."""

from __future__ import annotations

from pyspark.sql import SparkSession
from pyspark.sql import functions as F
from tests.tables import assert_rows, rows

from medlake.clean import condition_occurrence, imaging_study, measurement, observation, person
from medlake.clean.codes import malformed
from medlake.clean.judge import Vault, judge, mapped_union, with_known_visit
from medlake.clean.values import number_of, operator_of, parts_of
from medlake.grammar.contract import promise
from medlake.grammar.quality import flags, with_verdict


def judged(spark: SparkSession, event, text: str):
    """Two sources that know the same person, born in 1990."""
    keys = rows(spark, None, """
        patient_source | person_source_value | person_id | event_key | shift_days | born_on    | died_at
        here           | p1                  | 1         | k1        | -10        | 1990-01-01 | null
        there          | p1                  | 1         | k1        | -10        | 1990-01-01 | null
    """, person_id="bigint", shift_days="int", born_on="date", died_at="timestamp")
    mapped = rows(spark, None, text)
    parts = {name: (name, mapped.where(F.col("from") == name).drop("from")) for name in ("here", "there")}
    return judge(mapped_union(event, parts), event, promise(f"silver.{event.table}"), Vault(keys, "2024-01-01"))


def test_a_condition_told_twice_on_a_day_is_a_near_duplicate(spark: SparkSession) -> None:
    found = judged(spark, condition_occurrence.EVENT, """
        from  | person_source_value | condition_source_value | condition_start_datetime | event_source_value
        here  | p1                  | flu                    | 2010-01-01T09:00:00      | a
        there | p1                  | flu                    | 2010-01-01               | x
        here  | p1                  | flu                    | 2010-01-02               | b
        here  | p1                  | gout                   | 2010-01-01               | c
        here  | p1                  | gout                   | 2010-01-01               | c
    """)
    assert_rows(found, """
        source | event_source_value | is_duplicate | qc
        here   | a                  | false        | []
        there  | x                  | false        | [near_duplicate]
        here   | b                  | false        | []
        here   | c                  | false        | []
        here   | c                  | true         | []
    """)


def test_results_of_a_person_are_compared_with_the_last_one(spark: SparkSession) -> None:
    units = rows(spark, None, """
        code | unit  | factor | shift | canonical_unit | low | high
        hb   | g/dL  | 1.0    | 0.0   | g/dL           | 1.0 | 30.0
        hb   | g/L   | 0.1    | 0.0   | g/dL           | 1.0 | 30.0
    """, factor="double", shift="double", low="double", high="double")
    said = [("hb", ([(0.0, 1.0, 9.0, 25.0), (18.0, 130.0, 3.0, 22.0)], 8.0, 1))]
    expected = spark.createDataFrame(said, "code string, expected struct<ages: array<struct<from_years: double, "
                                           "below_years: double, low: double, high: double>>, change: double, within_days: int>")
    found = judged(spark, measurement.event(units, expected), """
        from  | person_source_value | measurement_source_value | measurement_datetime | value_source_value | unit_source_value | event_source_value
        here  | p1                  | hb                       | 2010-01-01T09:00:10  | 14.0               | g/dL              | first
        there | p1                  | hb                       | 2010-01-01T09:00:40  | 14.0               | g/dL              | again
        here  | p1                  | hb                       | 2010-01-01T12:00:00  | 140                | g/L               | other unit
        there | p1                  | hb                       | 2010-01-01T12:00:00  | 9.0                | g/dL              | other value
        here  | p1                  | hb                       | 2010-01-02T08:00:00  | 18.5               | g/dL              | jump
        here  | p1                  | hb                       | 2010-03-01           | 8.0                | g/dL              | slow
        here  | p1                  | hb                       | 2010-03-02           | 8.5                | %                 | no unit
        here  | p1                  | hb                       | 2010-05-02           | 23.0               | g/dL              | of a newborn
        here  | p1                  | hb                       | 1990-02-01           | 23.0               | g/dL              | newborn
        here  | p1                  | hb                       | 2011-05-02           | 50.0               | g/dL              | impossible
        here  | p1                  | hb                       | 2012-05-02           | null               | g/dL              | silent
        here  | p1                  | hb                       | 2012-06-02           | clotted            | null              | worded
    """)
    assert_rows(found, """
        event_source_value | value_std | qc
        first              | 14.0      | []
        again              | 14.0      | [near_duplicate]
        other unit         | 14.0      | [unit_converted]
        other value        | 9.0       | [value_conflict]
        jump               | 18.5      | [change_implausible]
        slow               | 8.0       | []
        no unit            | null      | [unit_unknown]
        of a newborn       | 23.0      | [value_unusual_for_age]
        newborn            | 23.0      | []
        impossible         | 50.0      | [value_out_of_range, value_unusual_for_age]
        silent             | null      | [value_missing]
        worded             | null      | [value_not_numeric]
    """)


def test_a_code_looks_like_its_vocabulary_and_its_check_digit_holds(spark: SparkSession) -> None:
    said = rows(spark, None, """
        v       | c                 | qc
        ICD10CM | E11.9             | []
        ICD10CM | E119              | []
        ICD10CM | S72.001A          | []
        ICD10CM | 250.00            | []
        ICD10   | I21.9             | []
        ICD10   | 21.9              | []
        ICD9CM  | 250.00            | []
        ICD9CM  | V45.81            | []
        ICD9CM  | E11.9             | []
        ATC     | C10AA05           | []
        ATC     | C10               | []
        ATC     | 10AA05            | []
        LOINC   | 29463-7           | []
        LOINC   | 29463-1           | []
        LOINC   | weight            | []
        SNOMED  | 44054006          | []
        SNOMED  | 22298006          | []
        SNOMED  | 22298060          | []
        SNOMED  | diabetes          | []
        RxNorm  | 314076            | []
        local   | whatever 7        | []
        null    | whatever 7        | []
    """, qc="array<string>")
    assert_rows(said.withColumn("qc", flags(malformed("v", "c"))), """
        v       | c                 | qc
        ICD10CM | E11.9             | []
        ICD10CM | E119              | []
        ICD10CM | S72.001A          | []
        ICD10CM | 250.00            | [code_malformed]
        ICD10   | I21.9             | []
        ICD10   | 21.9              | [code_malformed]
        ICD9CM  | 250.00            | []
        ICD9CM  | V45.81            | []
        ICD9CM  | E11.9             | [code_malformed]
        ATC     | C10AA05           | []
        ATC     | C10               | []
        ATC     | 10AA05            | [code_malformed]
        LOINC   | 29463-7           | []
        LOINC   | 29463-1           | [code_check_digit]
        LOINC   | weight            | [code_malformed]
        SNOMED  | 44054006          | []
        SNOMED  | 22298006          | []
        SNOMED  | 22298060          | [code_check_digit]
        SNOMED  | diabetes          | [code_malformed]
        RxNorm  | 314076            | []
        local   | whatever 7        | []
        null    | whatever 7        | []
    """)


def test_a_person_is_known_alike_by_all_sources(spark: SparkSession) -> None:
    said = rows(spark, None, """
        name     | birth_date | year_of_birth | gender_concept_id | as_of      | reason_codes | qc
        known    | 1980-01-01 | null          | 8507              | 2024-01-01 | []           | []
        sexless  | 1980-01-01 | null          | 0                 | 2024-01-01 | []           | []
        ageless  | null       | null          | 8532              | 2024-01-01 | []           | []
        unborn   | 2024-01-02 | null          | 8532              | 2024-01-01 | []           | []
        old      | 1899-12-31 | null          | 8532              | 2024-01-01 | []           | []
    """, birth_date="date", as_of="date", year_of_birth="int", gender_concept_id="int", reason_codes="array<string>", qc="array<string>")
    assert_rows(with_verdict(said, person.RULES), """
        name     | reason_codes     | qc
        known    | []               | []
        sexless  | []               | [gender_unknown]
        ageless  | []               | [birth_missing]
        unborn   | [date_in_future] | []
        old      | [before_1900]    | []
    """)


def test_sources_that_do_not_agree_on_a_person_are_told(spark: SparkSession) -> None:
    columns = {"year_of_birth": "int", "gender_source_value": "string", "race_source_value": "string", "ethnicity_source_value": "string", "race_concept_id": "int", "ethnicity_concept_id": "int"}
    fit = rows(spark, None, """
        source | person_source_value | gender_concept_id | birth_date | qc
        here   | a                   | 8507              | 1980-01-01 | []
        there  | a                   | 8507              | 1980-01-01 | []
        here   | b                   | 8507              | 1980-01-01 | []
        there  | b                   | 8532              | 1980-01-01 | []
        here   | c                   | 8507              | 1980-01-01 | []
        there  | c                   | 0                 | 1980-01-10 | []
    """, gender_concept_id="int", birth_date="date", qc="array<string>").withColumns({n: F.lit(None).cast(t) for n, t in columns.items()})
    keys = rows(spark, None, """
        source | person_source_value | person_id | registered_batch | shift_days
        here   | a                   | 1         | 1                | 0
        there  | a                   | 1         | 1                | 0
        here   | b                   | 2         | 1                | 0
        there  | b                   | 2         | 1                | 0
        here   | c                   | 3         | 1                | 0
        there  | c                   | 3         | 1                | 0
    """, person_id="bigint", registered_batch="int", shift_days="int")
    assert_rows(person.persons(fit, keys), """
        person_id | gender_concept_id | birth_date | qc
        1         | 8507              | 1980-01-01 | []
        2         | 8507              | 1980-01-01 | [gender_conflict]
        3         | 8507              | 1980-01-01 | [birth_conflict]
    """)


def test_an_observation_says_something_and_its_visit_is_there(spark: SparkSession) -> None:
    told = rows(spark, "silver.observation", """
        observation_id | value_source_value | visit_occurrence_id | qc
        1              | smoker             | 7                   | []
        2              | null               | null                | []
        3              | smoker             | 8                   | []
    """)
    visits = rows(spark, "silver.visit_occurrence", "visit_occurrence_id\n7")
    assert_rows(with_known_visit(observation.with_value(told), visits), """
        observation_id | visit_occurrence_id | qc
        1              | 7                   | []
        2              | null                | [value_missing]
        3              | null                | [orphan_visit]
    """)


def test_a_study_has_a_date_and_one_patient(spark: SparkSession) -> None:
    told = rows(spark, None, """
        study | study_at            | _conflict | qc
        1     | 2010-01-01T00:00:00 | false     | []
        2     | null                | false     | []
        3     | 2010-01-01T00:00:00 | true      | []
    """, study_at="timestamp", _conflict="boolean", qc="array<string>")
    assert_rows(told.withColumn("qc", flags([imaging_study.UNDATED, imaging_study.STRANGERS])), """
        study | qc
        1     | []
        2     | [study_at_missing]
        3     | [person_conflict]
    """)


def test_every_form_of_a_result_is_read_and_nothing_is_lost(spark: SparkSession) -> None:
    said = rows(spark, None, """
        text
        7,4
        >90
        <0.01
        >1,234.5
        1:40
        <1:10
        120/80
        120,5 / 80
        5-10
        -5
        neg
        Negative
        +
        trace
        see comment
        null
    """)
    text = F.col("text")
    found = said.select("text", number_of(text).alias("number"), operator_of(text).alias("operator"), *[c.alias(n) for n, c in parts_of(text).items()])
    assert_rows(found, """
        text        | number | operator | value_kind | value_parts   | value_word
        7,4         | 7.4    | null     | number     | null          | null
        >90         | 90.0   | >        | bounded    | null          | null
        <0.01       | 0.01   | <        | bounded    | null          | null
        >1,234.5    | 1234.5 | >        | bounded    | null          | null
        1:40        | null   | null     | titre      | [1.0, 40.0]   | null
        <1:10       | null   | <        | titre      | [1.0, 10.0]   | null
        120/80      | null   | null     | pair       | [120.0, 80.0] | null
        120,5 / 80  | null   | null     | pair       | [120.5, 80.0] | null
        5-10        | null   | null     | range      | [5.0, 10.0]   | null
        -5          | -5.0   | null     | number     | null          | null
        neg         | null   | null     | word       | null          | negative
        Negative    | null   | null     | word       | null          | negative
        +           | null   | null     | word       | null          | positive
        trace       | null   | null     | word       | null          | borderline
        see comment | null   | null     | text       | null          | null
        null        | null   | null     | null       | null          | null
    """)
