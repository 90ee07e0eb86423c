"""The small tables of the page."""

from __future__ import annotations

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from report_tables import expected, rows, shown

from medlake.report import operations, tables

PERSON = (
    "person_id bigint, gender_concept_id int, year_of_birth int, source string, n_sources int,"
    " qc array<string>"
)
EVENT = "person_id bigint, year int, table string, qc array<string>"


def people(spark: SparkSession) -> DataFrame:
    return rows(
        spark,
        PERSON,
        """
        person_id | gender_concept_id | year_of_birth | source | n_sources | qc
        1         | 8532              | 2000          | north  | 2         | []
        2         | 8507              | 2003          | north  | 1         | []
        3         | 8532              | 1940          | south  | 1         | []
        4         | 0                 | null          | south  | 1         | [gender_unknown]
        """,
    )


def events(spark: SparkSession) -> DataFrame:
    return rows(
        spark,
        EVENT,
        """
        person_id | year | table              | qc
        1         | 2017 | silver.note        | []
        1         | 2018 | silver.measurement | [unit_unknown, unit_converted]
        2         | 2020 | silver.measurement | [unit_unknown]
        3         | 2020 | silver.measurement | []
        3         | 1950 | silver.measurement | []
        4         | null | silver.person      | [gender_unknown]
        """,
    )


def test_age_is_that_of_the_last_record(spark: SparkSession) -> None:
    ages = tables.age_sex(people(spark), events(spark), (0, 18, 40, 65))
    assert shown(ages, "position", "band", "sex", "n") == expected("""
        position | band    | sex     | n
        0        | 0–17    | men     | 1
        1        | 18–39   | women   | 1
        3        | 65+     | women   | 1
        4        | unknown | unknown | 1
    """)


def test_people_by_source(spark: SparkSession) -> None:
    assert shown(tables.persons(people(spark)), "n", "n_in_several") == [("4", "1")]
    assert shown(tables.persons_by_source(people(spark)), "name", "n") == [("north", "2"), ("south", "2")]


def test_years_reach_back_sixty_years_from_the_newest_record(spark: SparkSession) -> None:
    assert shown(tables.records_by_year(events(spark)), "kind", "year", "n") == expected("""
        kind               | year | n
        silver.note        | 2017 | 1
        silver.measurement | 2018 | 1
        silver.measurement | 2020 | 2
    """)


def test_remarks_are_counted_by_record_and_by_name(spark: SparkSession) -> None:
    assert shown(tables.quality(events(spark)), "table", "n_rows", "n_flagged") == expected("""
        table              | n_rows | n_flagged
        silver.note        | 1      | 0
        silver.measurement | 4      | 2
        silver.person      | 1      | 1
    """)
    assert shown(tables.flags(events(spark)), "table", "flag", "n") == expected("""
        table              | flag           | n
        silver.measurement | unit_converted | 1
        silver.measurement | unit_unknown   | 2
        silver.person      | gender_unknown | 1
    """)


def test_a_condition_counts_people_not_records(spark: SparkSession) -> None:
    conditions = rows(
        spark,
        "person_id bigint, condition_source_value string, condition_source_vocabulary string,"
        " condition_source_name string, source string",
        """
        person_id | condition_source_value | condition_source_vocabulary | condition_source_name | source
        1         | 38341003               | SNOMED                      | Hypertension          | north
        1         | 38341003               | SNOMED                      | Hypertension          | north
        2         | 38341003               | SNOMED                      | High blood pressure   | south
        3         | x1                     | null                        | null                  | south
        """,
    )
    assert shown(tables.conditions(conditions), "name", "n") == [("Hypertension", "2"), ("x1", "1")]


def test_images_by_kind(spark: SparkSession) -> None:
    series = rows(
        spark,
        "person_id bigint, modality string, n_instances bigint, size_bytes bigint",
        """
        person_id | modality | n_instances | size_bytes
        1         | CT       | 40          | 4000
        1         | CT       | 2           | 100
        2         | null     | 1           | 50
        """,
    )
    assert shown(tables.modalities(series), "modality", "n_images", "n_series", "n_bytes", "n") == [
        ("", "1", "1", "50", "1"),
        ("CT", "42", "2", "4100", "1"),
    ]


def test_pictures_are_of_different_people_first(spark: SparkSession) -> None:
    pictures = rows(
        spark,
        "sop_instance_uid string, person_id bigint, modality string, png string",
        """
        sop_instance_uid | person_id | modality | png
        a                | 1         | CT       | one
        b                | 1         | CT       | two
        c                | 2         | CT       | three
        d                | 3         | MR       | four
        """,
    )
    assert shown(tables.thumbnails(pictures), "modality", "png") == [
        ("CT", "one"),
        ("CT", "three"),
        ("MR", "four"),
    ]


def test_groups_have_a_centre_and_a_spread(spark: SparkSession) -> None:
    assigned = rows(
        spark,
        "person_id bigint, cluster int, x double, y double",
        """
        person_id | cluster | x | y
        1         | 1       | 0 | 0
        2         | 1       | 2 | 2
        3         | 2       | 5 | 1
        """,
    )
    assert shown(tables.groups(assigned), "cluster", "n", "x", "y", "xx", "xy", "yy") == [
        ("1", "2", "1", "1", "1", "1", "1"),
        ("2", "1", "5", "1", "0", "0", "0"),
    ]


def test_what_sets_a_group_apart_is_said_in_words(spark: SparkSession) -> None:
    profile = rows(
        spark,
        "cluster int, n_persons bigint, feature string, mean double, overall_mean double, effect_size double,"
        " direction string",
        """
        cluster | n_persons | feature             | mean | overall_mean | effect_size | direction
        1       | 30        | age                 | 60   | 40           | 1.5         | higher
        1       | 30        | condition//SNOMED//1 | 0.5  | 0.2          | -2          | lower
        1       | 30        | measurement//L//2   | null | null         | null        | same
        2       | 12        | age                 | 20   | 40           | 0.3         | lower
        """,
    )
    defined = rows(
        spark,
        "task string, feature string, about string, unit string",
        """
        task           | feature              | about        | unit
        patient_groups | age                  | Age          | years
        patient_groups | condition//SNOMED//1 | Hypertension | null
        other          | age                  | Another age  | years
        """,
    )
    apart = tables.differences(profile, defined, top=2)
    assert shown(apart, "cluster", "rank", "feature", "unit", "is_share", "n_all") == expected("""
        cluster | rank | feature      | unit  | is_share | n_all
        1       | 1    | Hypertension | null  | True     | 42
        1       | 2    | Age          | years | False    | 42
        2       | 1    | Age          | years | False    | 42
    """)


def test_rules_give_back_their_people(spark: SparkSession) -> None:
    rules = rows(
        spark,
        "antecedent array<string>, consequent array<string>, n bigint, support double, confidence double,"
        " lift double, q_value double",
        """
        antecedent | consequent | n  | support | confidence | lift | q_value
        [A]        | [B]        | 36 | 0.36    | 0.9        | 2    | 0.01
        [A]        | [C]        | 36 | 0.36    | 0.9        | 0.9  | 0.01
        [A]        | [D]        | 36 | 0.36    | 0.9        | 2    | 0.2
        """,
    )
    assert shown(tables.rule_counts(rules), "consequent", "n_if", "n_both", "n_then", "n_all") == [
        ("[B]", "40", "36", "45", "100")
    ]


def test_the_strongest_rules_are_told_once_each(spark: SparkSession) -> None:
    rules = rows(
        spark,
        "antecedent array<string>, consequent array<string>, n_if bigint, n_both bigint, n_then bigint,"
        " n_all bigint",
        """
        antecedent | consequent | n_if | n_both | n_then | n_all
        [E]        | [B]        | 40   | 12     | 50     | 200
        [E]        | [F]        | 40   | 39     | 50     | 200
        [A]        | [B]        | 40   | 30     | 50     | 200
        [B]        | [A]        | 50   | 30     | 40     | 200
        [C]        | [B]        | 40   | 28     | 50     | 200
        [D]        | [B]        | 40   | 26     | 50     | 200
        [C, A]     | [D]        | 20   | 15     | 40     | 200
        """,
    )
    names = rows(
        spark,
        "item string, name string",
        "item | name\n A | Alpha\n B | Beta\n C | null\n E | Job (finding)\n",
    )
    assert shown(tables.strongest_rules(rules, names), "position", "if_names", "then_names") == expected("""
        position | if_names   | then_names
        1        | [C, Alpha] | [D]
        2        | [Alpha]    | [Beta]
        3        | [C]           | [Beta]
        4        | [Job (finding)] | [F]
    """)


def test_reasons_are_named_and_the_strongest_first(spark: SparkSession) -> None:
    weights = rows(
        spark,
        "task string, model string, position int, feature string, weight double, kind string",
        """
        task | model    | position | feature | weight | kind
        t    | logistic | 0        | age     | -0.5   | coefficient
        t    | logistic | 1        | x       | 0.1    | coefficient
        t    | logistic | 2        | y       | 0.9    | coefficient
        """,
    )
    defined = rows(
        spark, "task string, position int, about string", "task | position | about\n t | 0 | Age\n"
    )
    assert shown(tables.reasons(weights, defined, top=2), "rank", "feature", "weight") == [
        ("1", "y", "0.9"),
        ("2", "Age", "-0.5"),
    ]


RUN = (
    "run_id string, night_id int, step string, started_at timestamp, seconds double,"
    " rows_in bigint, tables_written string, changes string"
)


def ledger(spark: SparkSession) -> DataFrame:
    first = '{"silver.note": {"inserted": 3, "updated": 1, "deleted": 0}, "ops.x": {"inserted": 9}}'
    second = '{"silver.note": {"inserted": 1, "updated": 0, "deleted": 2}, "gold.basket": {"inserted": 0}}'
    runs = rows(
        spark,
        RUN,
        f"""
        run_id | night_id | step | started_at | seconds | rows_in | tables_written | changes
        a | 1 | ingest | 2024-01-01 | 9 | 5 | {{"silver.note": 0}} | {{}}
        b | 2 | ingest | 2024-01-02 | 2.5 | 7 | {{"silver.note": 1}} | {first}
        c | 2 | build | 2024-01-02 00:00:04 | 3 | 0 | {{}} | {{}}
        d | 2 | build | 2024-01-02 00:01:00 | 1 | 0 | {{"silver.note": 2}} | {second}
        """,
    )
    return runs.withColumns({"status": F.lit("done"), "rows_changed": F.lit(0)})


def test_steps_count_by_their_last_run(spark: SparkSession) -> None:
    assert shown(operations.steps(ledger(spark), 2), "step", "offset_seconds", "seconds") == [
        ("build", "60", "1"),
        ("ingest", "0", "2.5"),
    ]


def test_changes_are_summed_over_the_steps_of_the_night(spark: SparkSession) -> None:
    assert shown(operations.changes(ledger(spark), 2), "table", "n_inserted", "n_updated", "n_deleted") == [
        ("silver.note", "4", "1", "2")
    ]


def test_pairs_by_weight_and_what_follows(spark: SparkSession) -> None:
    scores = rows(
        spark,
        "match_weight double, decision string, veto string",
        "match_weight | decision | veto\n 41.5 | linked | null\n 49.9 | linked | null\n 88.0 | linked | null\n"
        " -1.5 | doubtful | null\n 17.0 | vetoed | other_given_name\n",
    )
    assert shown(operations.match_weights(scores).orderBy("decision", "band"), "decision", "band", "n") == [
        ("doubtful", "-10", "1"),
        ("linked", "40", "2"),
        ("linked", "50", "1"),
        ("other_given_name", "10", "1"),
    ]


def test_quarantine_by_source_and_reason(spark: SparkSession) -> None:
    aside = rows(
        spark,
        "source string, reason_code string",
        "source | reason_code\n north | json_invalid\n north | json_invalid\n south | encoding\n",
    )
    assert shown(operations.set_aside(aside), "source", "reason_code", "n") == [
        ("north", "json_invalid", "2"),
        ("south", "encoding", "1"),
    ]


def test_a_table_has_the_version_of_its_last_writer(spark: SparkSession) -> None:
    assert shown(operations.versions(ledger(spark)), "table", "version", "night", "step") == [
        ("silver.note", "2", "2", "build")
    ]


def test_a_finding_is_no_disorder(spark: SparkSession) -> None:
    conditions = rows(
        spark,
        "person_id bigint, condition_source_value string, condition_source_vocabulary string,"
        " condition_source_name string, source string",
        """
        person_id | condition_source_value | condition_source_vocabulary | condition_source_name | source
        1 | 160903007 | SNOMED | Full-time employment (finding) | north
        1 | 271737000 | SNOMED | Anemia (disorder) | north
        """,
    )
    assert shown(tables.conditions(conditions), "name", "n") == [("Anemia (disorder)", "1")]
