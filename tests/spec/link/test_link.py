"""Who is whom: the rules, and ids that last for ever."""

from __future__ import annotations

from pyspark.sql import DataFrame, SparkSession
from tests.tables import assert_rows, rows

from medlake.link.fields import as_fields, name_rows, of_identity
from medlake.link.history import events
from medlake.link.registry import edges_of, first_labels, jumped, propagated, registered, resolved
from medlake.link.rules import link_pairs, normalised


def people(spark: SparkSession) -> DataFrame:
    return rows(spark, "vault.identity", """
        source | person_source_value | family_name | given_name | birth_date | gender_concept_id | national_id | phone        | zip
        n      | 1                   | Müller      | Anna       | 1980-01-02 | 8532              | 999-10-1234 | null         | 02139
        s      | a                   | MULLER      | ANNA       | 1980-01-02 | 8532              | null        | null         | null
        s      | b                   | Muller-Kay  | Ann        | 1980-02-01 | 8532              | 999101234   | null         | 10001
        n      | 2                   | Smith       | Bob        | 1970-03-03 | 8507              | null        | 555-123-4567 | 02139
        s      | c                   | Smyth       | Robert     | 1970-03-03 | 8507              | null        | (555)1234567 | 90210
        s      | e                   | Smith       | Bernd      | 1970-03-03 | 8507              | null        | 555-123-4567 | 02139
        s      | d                   | Smith       | Bea        | 1970-03-03 | 8532              | null        | 555-123-4567 | 02139
        n      | 3                   | null        | null       | 1970-03-03 | 0                 | null        | null         | null
    """)


def fields(spark: SparkSession, identity: DataFrame) -> DataFrame:
    lacking = [c for c in ("maiden_name", "city", "email", "address_line") if c not in identity.columns]
    whole = identity.selectExpr("*", *[f"CAST(NULL AS STRING) AS {c}" for c in lacking])
    names = spark.createDataFrame(name_rows({"robert": ["bob", "bert"], "anna": ["ann"]}, ["bernd"]), "name string, root string")
    return as_fields(of_identity(whole), names)


def test_each_rule_links_what_it_should_and_no_more(spark: SparkSession) -> None:
    assert_rows(link_pairs(normalised(fields(spark, people(spark)))), """
        left_source | left_key | right_source | right_key | rule
        n           | 1        | s            | a         | name_birth
        n           | 2        | s            | c         | sound_birth_phone
    """)


def test_a_chain_of_links_ends_in_the_key_registered_first(spark: SparkSession) -> None:
    keys = rows(spark, "vault.id_vault", """
        source | person_source_value | source_key_hash | own_person_id | person_id | event_key | registered_batch | is_current
        n      | 1                   | h               | 50            | 50        | k         | 2                | true
        s      | a                   | h               | 40            | 40        | k         | 1                | true
        s      | b                   | h               | 30            | 30        | k         | 2                | true
        s      | c                   | h               | 10            | 10        | k         | 3                | true
    """)
    pairs = rows(spark, "vault.person_link", """
        left_source | left_key | right_source | right_key | rule
        n           | 1        | s            | a         | x
        n           | 1        | s            | b         | x
    """)
    edges = edges_of(keys, pairs)
    labels = jumped(propagated(jumped(propagated(first_labels(keys, edges), edges)), edges))
    assert_rows(resolved(keys, labels), """
        person_source_value | person_id
        1                   | 40
        a                   | 40
        b                   | 40
        c                   | 10
    """)


def test_a_key_keeps_its_night_and_one_that_left_stays(spark: SparkSession) -> None:
    known = rows(spark, "vault.id_vault", """
        source | person_source_value | source_key_hash | own_person_id | person_id | event_key | registered_batch | is_current
        n      | 1                   | h1              | 5             | 5         | k1        | 1                | true
        n      | gone                | h2              | 6             | 6         | k2        | 1                | true
    """)
    hashed = rows(spark, "vault.id_vault", """
        source | person_source_value | source_key_hash | own_person_id | event_key
        n      | 1                   | h1              | 5             | k1
        n      | new                 | h3              | 7             | k3
    """)
    assert_rows(registered(known, hashed, batch=2), """
        person_source_value | own_person_id | registered_batch | is_current
        1                   | 5             | 1                | true
        gone                | 6             | 1                | false
        new                 | 7             | 2                | true
    """)


def test_who_went_over_to_whom_is_a_merge_or_a_split(spark: SparkSession) -> None:
    before = rows(spark, "vault.id_vault", """
        source | person_source_value | person_id
        n      | 1                   | 10
        n      | 2                   | 20
        n      | 3                   | 30
        s      | 3                   | 30
        n      | 4                   | 40
    """)
    after = rows(spark, "vault.id_vault", """
        source | person_source_value | person_id
        n      | 1                   | 10
        n      | 2                   | 10
        n      | 3                   | 30
        s      | 3                   | 33
        n      | 4                   | 40
        n      | new                 | 40
    """)
    assert_rows(events(before, after, batch=7), """
        registered_batch | person_id | to_person_id | kind  | n_keys
        7                | 20        | 10           | merge | 1
        7                | 30        | 33           | split | 1
    """)
