"""What is found becomes the tables of the gold layer, as promised."""

from __future__ import annotations

import pytest

from medlake.features.baskets import baskets_of, events, in_windows, strata
from medlake.grammar.contract import conform, promise
from medlake.mining.association import association_rule, association_stratum, comorbidity_edge, sequence_pattern
from medlake.ml import AssociationRules, FrequentItemsets, SequencePatterns
from medlake.ml.strata import by_stratum
from tables import assert_rows, rows

EVENTS = """
    person_id | item | on         | sex
    1         | a    | 2020-01-01 | female
    1         | b    | 2020-01-11 | female
    2         | a    | 2020-01-01 | female
    2         | b    | 2020-01-21 | female
    3         | b    | 2020-01-01 | male
    3         | a    | 2020-01-05 | male
    4         | c    | 2020-01-01 | male
"""


@pytest.fixture(scope="module")
def told(spark):
    return rows(spark, None, EVENTS, person_id="bigint", on="date").localCheckpoint()


def test_rules_keep_their_promise(spark, told):
    found = AssociationRules(minSupport=0.5, minConfidence=0.5).fit(baskets_of(told, "person_id"))
    made = conform(association_rule(found.rules), promise("gold.association_rule"))
    assert_rows(made, """
        antecedent | consequent | n | support | confidence | lift        | leverage | conviction | zhang | p_value | q_value
        [a]        | [b]        | 3 | 0.75    | 1.0        | 1.333333333 | 0.1875   | null       | 1.0   | 0.25    | 0.25
        [b]        | [a]        | 3 | 0.75    | 1.0        | 1.333333333 | 0.1875   | null       | 1.0   | 0.25    | 0.25
    """)  # fmt: skip


def test_strata_keep_their_promise(spark, told):
    baskets = baskets_of(told, "person_id").join(told.select("person_id", "sex").distinct(), on="person_id", how="left")
    found = AssociationRules(minSupport=0.5, minConfidence=0.5).fit(baskets)
    made = conform(association_stratum(by_stratum(found.rules, baskets, columns=["sex"])), promise("gold.association_stratum"))
    assert_rows(made.where("antecedent[0] = 'a'"), """
        antecedent | consequent | stratum | level  | n_persons | n | n_antecedent | confidence | lift | difference | p_value
        [a]        | [b]        | sex     | female | 2         | 2 | 2            | 1.0        | 1.0  | 0.0        | 1.0
        [a]        | [b]        | sex     | male   | 2         | 1 | 1            | 1.0        | 2.0  | 0.0        | 1.0
    """)  # fmt: skip


def test_edges_keep_their_promise(spark, told):
    found = FrequentItemsets(minSupport=0.25, maxLength=2).fit(baskets_of(told, "person_id"))
    made = conform(comorbidity_edge(found.itemsets, found.nBaskets), promise("gold.comorbidity_edge"))
    assert_rows(made, """
        item_a | item_b | n_a | n_b | n_both | n_persons | odds_ratio | phi | p_value | q_value
        a      | b      | 3   | 3   | 3      | 4         | 21.0       | 1.0 | 0.25    | 0.75
    """)  # fmt: skip


def test_sequences_keep_their_promise(spark, told):
    found = SequencePatterns(minSupport=0.5, firstOnly=True, timeCol="on").fit(told)
    made = conform(sequence_pattern(found.patterns, found.pairs), promise("gold.sequence_pattern"))
    row = made.first().asDict()
    assert made.count() == 1
    assert (row["pattern"], row["n"], row["n_steps"], row["median_days"]) == ([["a"], ["b"]], 2, 2, 15.0)
    assert (row["n_antecedent"], row["n_reverse"], row["n_same_day"], row["sequence_ratio"]) == (3, 1, 0, 2.0)
    assert (row["support"], row["p_value"], row["q_value"]) == (0.5, 1.0, 1.0)


def test_baskets_by_patient_by_encounter_and_by_window(spark):
    some = rows(spark, None, """
        person_id | visit_occurrence_id | on         | item
        1         | 10                  | 2020-01-01 | b
        1         | 10                  | 2020-01-01 | a
        1         | 11                  | 2020-01-30 | a
        1         | null                | 2020-03-01 | c
        2         | 20                  | null       | a
    """, person_id="bigint", visit_occurrence_id="bigint", on="date")  # fmt: skip
    assert_rows(baskets_of(some, "person_id"), """
        person_id | items
        1         | [a, b, c]
        2         | [a]
    """)  # fmt: skip
    assert_rows(baskets_of(some, "visit_occurrence_id"), """
        visit_occurrence_id | items
        10                  | [a, b]
        11                  | [a]
        20                  | [a]
    """)  # fmt: skip
    assert_rows(baskets_of(in_windows(some, days=30), "person_id", "window"), """
        person_id | window | items
        1         | 0      | [a, b]
        1         | 2      | [c]
    """)  # fmt: skip


def test_events_name_their_item_and_strata_their_band(spark):
    condition = rows(spark, "silver.condition_occurrence", """
        person_id | visit_occurrence_id | condition_start_date | condition_source_vocabulary | source | condition_source_value | condition_source_name
        1         | 10                  | 2020-01-01           | ICD10CM                     | s      | E11                    | Diabetes
        2         | null                | 2001-01-01           | null                        | s      | x                      | null
    """)  # fmt: skip
    drug = rows(spark, "silver.drug_exposure", """
        person_id | visit_occurrence_id | drug_exposure_start_date | drug_source_vocabulary | source | drug_source_value | drug_source_name
        1         | 10                  | 2021-01-01               | ATC                    | s      | A10               | null
        3         | 30                  | 2021-01-01               | ATC                    | s      | null              | nothing
    """)  # fmt: skip
    told = events(condition, drug)
    assert_rows(told, """
        person_id | visit_occurrence_id | on         | kind      | item         | name
        1         | 10                  | 2020-01-01 | condition | ICD10CM//E11 | Diabetes
        2         | null                | 2001-01-01 | condition | s//x         | null
        1         | 10                  | 2021-01-01 | drug      | ATC//A10     | null
    """)  # fmt: skip
    person = rows(spark, "silver.person", """
        person_id | gender_concept_id | year_of_birth
        1         | 8532              | 1956
        2         | 8507              | 1984
        3         | 0                 | 1950
    """)  # fmt: skip
    assert_rows(strata(person, told), """
        person_id | sex    | age_band
        1         | female | 65+
        2         | male   | 0–17
        3         | null   | null
    """)  # fmt: skip
