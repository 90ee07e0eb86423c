"""Sequences and temporal rules equal brute force, under every limit of time."""

from __future__ import annotations

import itertools
import random
from datetime import date, timedelta
from statistics import median

import pytest
from brute_force import median_span, spans
from pyspark.ml import PipelineModel
from pyspark.sql import DataFrame, SparkSession
from scipy.stats import binomtest, false_discovery_control

from medlake.grammar.errors import ConfigError
from medlake.ml import SequencePatterns, SequencePatternsModel
from medlake.ml.occurrences import Limits, as_tree, occurring
from tables import assert_rows, rows

DAY = date(2020, 1, 1)


def records(n: int, seed: int) -> dict[int, list[tuple[int, str]]]:
    """person → (day, item): some things on one day, some again, and a often before b."""
    draw = random.Random(seed)
    made = {}
    for person in range(n):
        told = [(draw.randint(0, 30), draw.choice("abcd")) for _ in range(draw.randint(1, 7))]
        if draw.random() < 0.5:
            start = draw.randint(0, 10)
            told += [(start, "a"), (start + draw.randint(3, 9), "b")]
        made[person] = told
    return made


PEOPLE = records(30, 4)


def frame(spark: SparkSession, people: dict[int, list[tuple[int, str]]]) -> DataFrame:
    told = [(p, item, DAY + timedelta(day)) for p, some in people.items() for day, item in some]
    return spark.createDataFrame(told, "person_id int, item string, time date").repartition(3)


def by_hand(people: dict, support: float, most: int, limits: tuple[int, int, int]) -> dict:
    items = sorted({item for some in people.values() for _, item in some})
    steps = [step for size in range(1, most) for step in itertools.combinations(items, size)]
    found = {}
    for n_steps in range(2, most + 1):
        for pattern in itertools.product(steps, repeat=n_steps):
            if sum(map(len, pattern)) <= most:
                held = [s for s in (spans(some, pattern, *limits) for some in people.values()) if s]
                if held and len(held) / len(people) >= support:
                    found[pattern] = (len(held), median_span(held))
    return found


def told(model: SequencePatternsModel) -> dict:
    made = [(tuple(map(tuple, r["sequence"])), (r["freq"], r["medianDays"])) for r in model.patterns.collect()]
    assert len(made) == len(dict(made))
    return dict(made)


@pytest.mark.parametrize("limits", [(1, 0, 0), (3, 0, 0), (1, 6, 0), (1, 0, 9), (2, 8, 12)])
def test_patterns_equal_brute_force(spark, limits):
    choices = dict(zip(("minGapDays", "maxGapDays", "windowDays"), limits, strict=True))
    model = SequencePatterns(minSupport=0.2, maxLength=3, **choices).fit(frame(spark, PEOPLE))
    want = by_hand(PEOPLE, 0.2, 3, limits)
    assert told(model) == want
    assert len(want) > 3
    assert model.nPersons == len(PEOPLE)


def test_a_pattern_is_found_where_the_greedy_choice_fails():
    """a on 0 and 5, b on 6: within 2 days only the second a will do."""
    tree = as_tree([(("a",), ("b",)), (("a", "b"),)])
    days = {"a": [0, 5], "b": [6]}
    assert list(occurring(tree, days, Limits(max_gap=2))) == [(0, 1)]
    assert list(occurring(tree, days, Limits())) == [(0, 6)]
    assert list(occurring(tree, days, Limits(min_gap=7))) == []


def first_days(people: dict) -> dict[int, dict[str, int]]:
    return {p: {i: min(d for d, j in some if j == i) for _, i in some} for p, some in people.items()}


@pytest.mark.parametrize(("window", "longest"), [(0, 10_000), (7, 7)])
def test_temporal_rules_equal_brute_force(spark, window, longest):
    model = SequencePatterns(minSupport=0.1, windowDays=window).fit(frame(spark, PEOPLE))
    first, least, p_of, want = first_days(PEOPLE), 3, {}, {}
    for a, b in itertools.permutations("abcd", 2):
        gaps = [days[b] - days[a] for days in first.values() if a in days and b in days]
        forth, back = [g for g in gaps if 0 < g <= longest], [-g for g in gaps if 0 < -g <= longest]
        if len(forth) + len(back) >= least:
            p_of[frozenset((a, b))] = binomtest(len(forth), len(forth) + len(back)).pvalue
            if len(forth) >= least:
                n_a = sum(a in days for days in first.values())
                want[a, b] = (len(forth), n_a, len(back), gaps.count(0), median(forth))
    q_of = dict(zip(p_of, false_discovery_control(list(p_of.values())), strict=True))
    have = model.pairs.collect()
    names = ("freq", "nAntecedent", "nReverse", "nSameDay", "medianDays")
    assert {(r["antecedent"], r["consequent"]): tuple(r[n] for n in names) for r in have} == want
    assert ("a", "b") in want and len(want) > 5
    for r in have:
        pair = frozenset((r["antecedent"], r["consequent"]))
        assert (r["p"], r["q"]) == pytest.approx((p_of[pair], q_of[pair]), rel=1e-7)
        assert r["support"] == pytest.approx(r["freq"] / len(PEOPLE))
        assert r["confidence"] == pytest.approx(r["freq"] / r["nAntecedent"])
        assert r["ratio"] == (pytest.approx(r["freq"] / r["nReverse"]) if r["nReverse"] else None)


def test_on_first_days_a_pattern_of_two_is_its_temporal_rule(spark):
    model = SequencePatterns(minSupport=0.1, maxLength=2, windowDays=7, firstOnly=True).fit(frame(spark, PEOPLE))
    have = {(s[0][0], s[1][0]): one for s, one in told(model).items()}
    assert have == {(r["antecedent"], r["consequent"]): (r["freq"], r["medianDays"]) for r in model.pairs.collect()}


def test_order_by_chance_has_no_direction(spark):
    draw = random.Random(8)
    people = {p: [(draw.randint(0, 999), i) for i in "abcdef"] for p in range(200)}
    model = SequencePatterns(minSupport=0.2, maxLength=2).fit(frame(spark, people))
    assert model.pairs.count() == 30
    assert model.pairs.where("q < 0.05").count() == 0


def test_events_without_a_person_an_item_or_a_day_are_none(spark):
    events = rows(spark, None, """
        person_id | item | time
        1         | a    | 2020-01-01
        1         | a    | 2020-01-01
        1         | b    | 2020-01-03
        null      | b    | 2020-01-03
        2         | null | 2020-01-03
        3         | b    | null
    """, person_id="int", time="date")  # fmt: skip
    model = SequencePatterns(minSupport=1.0).fit(events)
    assert model.nPersons == 1
    assert_rows(model.pairs, """
        antecedent | consequent | freq | nReverse | nSameDay | ratio | medianDays | p
        a          | b          | 1    | 0        | 0        | null  | 2.0        | 1.0
    """)  # fmt: skip
    assert SequencePatterns().fit(events.limit(0)).patterns.count() == 0


def test_a_model_is_saved_loaded_and_keeps_the_events_it_knows(spark, tmp_path):
    model = SequencePatterns(minSupport=0.2).fit(frame(spark, PEOPLE))
    PipelineModel([model]).write().overwrite().save(str(tmp_path / "model"))
    again = PipelineModel.load(str(tmp_path / "model")).stages[0]
    assert told(again) == told(model) and again.pairs.count() == model.pairs.count() and again.nPersons == 30
    known = again.transform(rows(spark, None, "person_id | item\n1 | a\n1 | z", person_id="int"))
    assert_rows(known, "person_id | item\n1 | a")


def test_wrong_choices_are_told_at_once(spark):
    with pytest.raises(ConfigError, match=r"minGapDays must be at least 1; windowDays must be at least 0"):
        SequencePatterns(minGapDays=0, windowDays=-1).fit(frame(spark, PEOPLE))
    with pytest.raises(ConfigError, match="maxGapDays must not be below"):
        SequencePatterns(minGapDays=5, maxGapDays=2).fit(frame(spark, PEOPLE))
    with pytest.raises(ConfigError, match="no column when"):
        SequencePatterns(timeCol="when").fit(frame(spark, PEOPLE))
    with pytest.raises(ConfigError, match="More than 2 candidate sequences"):
        SequencePatterns(maxCandidates=2).fit(frame(spark, PEOPLE))
