"""The network and the sequences of the page: named, bounded, and safe to publish."""

from __future__ import annotations

import pytest

from medlake.privacy.disclosure import bound_rule_counts, hide_small_counts
from medlake.report.care import Follow, Link
from medlake.report.care_charts import follow, link, ordered
from medlake.report.care_tables import follow_counts, frequent_follows, link_counts, strongest_links
from tables import assert_rows, rows


@pytest.fixture(scope="module")
def item_name(spark):
    return rows(spark, "ref.item_name", """
        item | name
        x//a | Asthma (disorder)
        x//b | Bronchitis (disorder)
        x//c | Full-time employment (finding)
        x//d | Diabetes (disorder)
    """)  # fmt: skip


def test_links_are_beyond_chance_named_and_without_findings(spark, item_name):
    edges = rows(spark, "gold.comorbidity_edge", """
        item_a | item_b | n_a | n_b | n_both | n_persons | odds_ratio | phi | p_value | q_value
        x//a   | x//b   | 40  | 50  | 30     | 200       | 8.5        | 0.5 | 0.001   | 0.01
        x//a   | x//c   | 40  | 90  | 30     | 200       | 8.5        | 0.5 | 0.001   | 0.01
        x//a   | x//d   | 40  | 30  | 12     | 200       | 2.5        | 0.2 | 0.01    | 0.2
        x//b   | x//d   | 50  | 30  | 10     | 200       | 9.5        | 0.2 | 0.001   | 0.01
    """)  # fmt: skip
    counts = link_counts(edges, item_name)
    assert {(r["antecedent"][0], r["consequent"][0]) for r in counts.collect()} == {("x//a", "x//b"), ("x//b", "x//d")}
    safe = bound_rule_counts(counts, "n_if", "n_both", "n_then", "n_all", minimum=11)
    # 40 - 30 people have a alone: few, so that 30 becomes at least 40 - 10, and so does the lift.
    assert_rows(strongest_links(safe, item_name), """
        first             | second                | n_both | lift | is_bound | position
        Asthma (disorder) | Bronchitis (disorder) | 30     | 3.0  | true     | 1
    """)  # fmt: skip


def test_follows_have_a_direction_and_hide_few_people(spark, item_name):
    patterns = rows(spark, "gold.sequence_pattern", """
        n_steps | n  | support | median_days | n_antecedent | n_reverse | n_same_day | sequence_ratio | p_value | q_value
        2       | 40 | 0.4     | 12.5        | 60           | 3         | 0          | 13.3           | 0.001   | 0.01
        2       | 30 | 0.3     | 1.0         | 60           | 29        | 0          | 1.0            | 0.9     | 0.9
        2       | 9  | 0.1     | 1.0         | 60           | 0         | 0          | null           | 0.001   | 0.01
        3       | 20 | 0.2     | 90.0        | null         | null      | null       | null           | null    | null
    """)  # fmt: skip
    from pyspark.sql import functions as F

    steps = F.when(F.col("n_steps") == 2, F.expr("array(array('x//a'), array('x//d'))")).otherwise(
        F.expr("array(array('x//a'), array('x//b'), array('x//d'))")
    )
    counts = follow_counts(patterns.withColumn("pattern", steps), item_name)
    safe = hide_small_counts(counts.where("n >= 11"), "n_reverse").drop("n_reverse_mark")
    assert_rows(frequent_follows(safe, item_name), """
        first             | then                | n  | n_reverse | median_days | position
        Asthma (disorder) | Diabetes (disorder) | 40 | null      | 13          | 1
    """)  # fmt: skip


def test_links_and_follows_are_clauses():
    assert link(Link("Asthma (disorder)", "Anemia", 33, 3.41, True)) == (
        "asthma and anemia: at least 33 people, at least 3.4 times as many as by chance"
    )
    assert follow(Follow("Asthma (disorder)", "Anemia", 33, None, 1), small_count=11) == (
        "33 people had asthma first, anemia 1 day later (median); fewer than 11 the other way round"
    )


def test_linked_names_stand_close():
    links = [Link(a, b, 20, 2.0, False) for a, b in ("ab", "cd", "be", "dc")]
    names = ordered(links)
    assert sorted(names) == list("abcde")
    assert abs(names.index("c") - names.index("d")) == 1
    assert {names.index(x) for x in "abe"} in ({0, 1, 2}, {2, 3, 4})
