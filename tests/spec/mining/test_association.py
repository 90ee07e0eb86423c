"""Itemsets and rules equal brute force."""

from __future__ import annotations

import itertools
import random

import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from scipy.stats import false_discovery_control, fisher_exact

from medlake.mining.association import capped, counted, rules, with_q_value
from medlake.mining.fitting import frequent_itemsets
from tables import assert_rows, rows

MIN_SUPPORT, MAX_ITEMS = 0.08, 3


def baskets_of_chance() -> dict[int, set[str]]:
    draw = random.Random(3)
    made = {}
    for person in range(60):
        items = {f"X//{i}" for i in range(7) if draw.random() < 0.35}
        if "X//1" in items and draw.random() < 0.8:
            items.add("X//2")
        made[person] = items | ({"X//3"} if {"X//1", "X//2"} <= items else set())
    return made


BASKETS = baskets_of_chance()


@pytest.fixture(scope="module")
def basket(spark: SparkSession) -> DataFrame:
    data = [(person, sorted(items)) for person, items in BASKETS.items()]
    return spark.createDataFrame(data, "person_id bigint, items array<string>")


@pytest.fixture(scope="module")
def counts(basket: DataFrame) -> DataFrame:
    short = capped(basket, min_support=MIN_SUPPORT, max_items=20)
    found = frequent_itemsets(short, min_support=MIN_SUPPORT)
    return counted(found, basket, min_support=MIN_SUPPORT, max_items=MAX_ITEMS).cache()


def brute_force() -> dict[tuple[str, ...], int]:
    names = sorted(set().union(*BASKETS.values()))
    found = {}
    for size in range(1, MAX_ITEMS + 1):
        for items in itertools.combinations(names, size):
            n = sum(set(items) <= basket for basket in BASKETS.values())
            if n >= MIN_SUPPORT * len(BASKETS):
                found[items] = n
    return found


def test_itemsets_equal_brute_force(counts):
    have = {tuple(r["items"]): r["n"] for r in counts.collect()}
    assert have == brute_force()
    assert len(have) > 20


def test_rules_equal_brute_force(counts):
    n_of, total = brute_force(), len(BASKETS)
    want, p_values = {}, {}
    for items, n in n_of.items():
        for right in items:
            left = tuple(i for i in items if i != right)
            if not left:
                continue
            confidence, share = n / n_of[left], n_of[(right,)] / total
            if confidence >= 0.4 and confidence / share >= 1.05:
                a, b = n_of[left], n_of[(right,)]
                table = [[n, a - n], [b - n, total - a - b + n]]
                p_values[left, right] = fisher_exact(table, alternative="greater")[1]
                want[left, right] = (n, confidence, confidence / share, n / total - a / total * share)
    q = dict(zip(p_values, false_discovery_control(list(p_values.values())), strict=True))
    kept = {
        key
        for key in want
        if q[key] <= 0.9
        and not any(
            other[1] == key[1]
            and set(other[0]) < set(key[0])
            and want[key][1] < want[other][1] + 0.02
            and q[other] <= 0.9
            for other in want
        )
    }
    found = rules(counts, min_confidence=0.4, min_lift=1.05, max_q=0.9).collect()
    assert {(tuple(r["antecedent"]), r["consequent"][0]) for r in found} == kept
    assert len(kept) > 5
    for r in found:
        key = (tuple(r["antecedent"]), r["consequent"][0])
        assert (r["n"], r["confidence"], r["lift"], r["leverage"]) == pytest.approx(want[key], abs=1e-8)
        assert r["support"] == pytest.approx(r["n"] / total, abs=1e-8)
        assert r["p_value"] == pytest.approx(p_values[key], rel=1e-7)
        assert r["q_value"] == pytest.approx(q[key], rel=1e-7)
        exceptions = 1 - r["confidence"]
        if exceptions > 1e-9:
            assert r["conviction"] == pytest.approx((1 - r["confidence"] / r["lift"]) / exceptions, rel=1e-6)


def test_a_rule_without_exceptions_has_no_conviction(spark):
    basket = rows(spark, "gold.basket", """
        person_id | items
        1         | [a, b]
        2         | [a, b]
        3         | [c]
        4         | [c]
    """)  # fmt: skip
    counts = counted(frequent_itemsets(basket, min_support=0.5), basket, min_support=0.5, max_items=3)
    assert_rows(rules(counts, min_confidence=0.5, max_q=1.0), """
        antecedent | consequent | n | support | confidence | lift | leverage | conviction
        [a]        | [b]        | 2 | 0.5     | 1.0        | 2.0  | 0.25     | null
        [b]        | [a]        | 2 | 0.5     | 1.0        | 2.0  | 0.25     | null
    """)  # fmt: skip


def test_a_big_basket_keeps_its_rarest_frequent_items_and_nobody_is_lost(spark):
    basket = rows(spark, "gold.basket", """
        person_id | items
        1         | [a, b, c]
        2         | [a, b, d]
        3         | [a]
        4         | [x]
    """)  # fmt: skip
    # a is frequent in 3, b in 2 of 4 patients; c, d and x in fewer than half.
    assert_rows(capped(basket, min_support=0.5, max_items=1), """
        person_id | items
        1         | [b]
        2         | [b]
        3         | [a]
        4         | []
    """)  # fmt: skip


def test_the_cap_never_changes_a_count(spark, basket):
    short = capped(basket, min_support=MIN_SUPPORT, max_items=2)
    found = counted(frequent_itemsets(short, min_support=0.01), basket, min_support=MIN_SUPPORT, max_items=2)
    want = brute_force()
    have = {tuple(r["items"]): r["n"] for r in found.collect()}
    assert have
    assert all(want[items] == n for items, n in have.items())


def test_q_values_are_those_of_benjamini_and_hochberg(spark):
    p = [0.001, 0.008, 0.039, 0.041, 0.042, 0.06, 0.074, 0.205, 0.205, 0.9]
    tested = spark.createDataFrame([(v,) for v in p], "p_value double").repartition(3)
    have = [r["q_value"] for r in with_q_value(tested).orderBy("p_value").collect()]
    assert have == pytest.approx(list(false_discovery_control(p)), rel=1e-12)


def test_shuffled_baskets_give_the_same_rules(basket, counts):
    mixed = basket.orderBy(F.desc("person_id")).repartition(3)
    short = capped(mixed, min_support=MIN_SUPPORT, max_items=20)
    again = counted(
        frequent_itemsets(short, min_support=MIN_SUPPORT), mixed, min_support=MIN_SUPPORT, max_items=MAX_ITEMS
    )
    a, b = (sorted(map(str, rules(c, min_confidence=0.4, max_q=0.9).collect())) for c in (counts, again))
    assert a == b
