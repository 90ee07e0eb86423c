"""Rules: every measure by hand, tests by SciPy, and nothing where there is nothing."""

from __future__ import annotations

import math

import numpy as np
import pytest
from brute_force import baskets_of_chance, itemsets, rules
from pyspark.ml import PipelineModel
from pyspark.sql import DataFrame, SparkSession
from scipy.stats import chi2_contingency, false_discovery_control, fisher_exact

from medlake.grammar.errors import ConfigError
from medlake.ml import AssociationRules, AssociationRulesModel
from medlake.ml.network import edges
from medlake.ml.significance import with_q
from medlake.ml.strata import by_stratum
from tables import assert_rows, rows

BASKETS, SUPPORT = baskets_of_chance(60, 7, 0.35, 3), 0.08
MEASURES = ("freq", "support", "confidence", "lift", "leverage", "conviction", "zhang")
EVERYTHING = {"minConfidence": 0.0, "maxConsequent": 0}


@pytest.fixture(scope="module")
def found(spark: SparkSession) -> DataFrame:
    """The itemsets, by brute force: rules are tested for themselves."""
    counts = [(list(items), n) for items, n in itemsets(BASKETS, SUPPORT).items()]
    return spark.createDataFrame(counts, "items array<string>, freq bigint").repartition(3).cache()


def told(table: DataFrame) -> dict[tuple[tuple[str, ...], tuple[str, ...]], dict]:
    made = [((tuple(r["antecedent"]), tuple(r["consequent"])), r.asDict()) for r in table.collect()]
    assert len(made) == len(dict(made)), "a rule stands twice"
    return dict(made)


@pytest.mark.parametrize("most", [0, 1, 2])
def test_every_rule_has_the_measures_of_brute_force(found, most):
    want = rules(itemsets(BASKETS, SUPPORT), len(BASKETS), most)
    have = told(AssociationRules(minConfidence=0.0, maxConsequent=most).rules(found, len(BASKETS)))
    assert have.keys() == want.keys()
    assert len(have) > 40
    for key, one in have.items():
        for name in MEASURES:
            assert one[name] == (want[key][name] if want[key][name] is None else pytest.approx(want[key][name], abs=1e-12))


@pytest.mark.parametrize("test", ["fisher", "chi2"])
def test_p_and_q_are_those_of_scipy(found, test):
    n = len(BASKETS)
    have = told(AssociationRules(**EVERYTHING, test=test, correction="found").rules(found, n))
    want = rules(itemsets(BASKETS, SUPPORT), n)
    p = {}
    for key, one in want.items():
        table = [[one["freq"], one["n_a"] - one["freq"]], [one["n_c"] - one["freq"], n - one["n_a"] - one["n_c"] + one["freq"]]]
        p[key] = fisher_exact(table, alternative="greater")[1] if test == "fisher" else chi2_contingency(table, correction=False)[1]
    q = dict(zip(p, false_discovery_control(list(p.values())), strict=True))
    for key, one in have.items():
        assert (one["p"], one["q"]) == pytest.approx((p[key], q[key]), rel=1e-7)


def test_q_counts_every_rule_that_could_have_been_made(found):
    n_items, longest = 7, max(map(len, itemsets(BASKETS, SUPPORT)))
    have = told(AssociationRules(minConfidence=0.0).rules(found, len(BASKETS)))
    for size in range(2, longest + 1):
        layer = {key: one for key, one in have.items() if len(key[0]) + 1 == size}
        n_tests = math.comb(n_items, size) * size
        p = [one["p"] for one in layer.values()]
        q = false_discovery_control([*p, *[1.0] * (n_tests - len(p))])[: len(p)] * (longest - 1)
        assert [one["q"] for one in layer.values()] == pytest.approx(np.minimum(q, 1.0), rel=1e-9)


def test_thresholds_let_through_what_they_say(found):
    everything = told(AssociationRules(**EVERYTHING).rules(found, len(BASKETS)))
    have = told(AssociationRules(minConfidence=0.5, minLift=1.05, maxQ=0.5, maxConsequent=0).rules(found, len(BASKETS)))
    want = {k for k, one in everything.items() if one["confidence"] >= 0.5 and one["lift"] >= 1.05 and one["q"] <= 0.5}
    assert have.keys() == want
    assert 5 < len(have) < len(everything)


def test_redundant_rules_are_left_out(found):
    everything = told(AssociationRules(minConfidence=0.4).rules(found, len(BASKETS)))
    have = told(AssociationRules(minConfidence=0.4, minImprovement=0.02).rules(found, len(BASKETS)))
    want = {
        key
        for key, one in everything.items()
        if not any(
            end == key[1] and set(part) < set(key[0]) and one["confidence"] < everything[part, end]["confidence"] + 0.02
            for part, end in everything
        )
    }
    assert have.keys() == want
    assert 5 < len(have) < len(everything)


def test_a_rule_without_exceptions_has_no_conviction(spark):
    baskets = rows(spark, None, """
        items
        [a, b]
        [a, b]
        [c]
        [c]
    """, items="array<string>")  # fmt: skip
    model = AssociationRules(minSupport=0.5, minConfidence=0.5).fit(baskets)
    assert_rows(model.rules, """
        antecedent | consequent | freq | support | confidence | lift | leverage | conviction | zhang
        [a]        | [b]        | 2    | 0.5     | 1.0        | 2.0  | 0.25     | null       | 1.0
        [b]        | [a]        | 2    | 0.5     | 1.0        | 2.0  | 0.25     | null       | 1.0
    """)  # fmt: skip


def test_q_values_are_those_of_benjamini_and_hochberg(spark):
    p = [0.001, 0.008, 0.039, 0.041, 0.042, 0.06, 0.074, 0.205, 0.205, 0.9]
    tested = spark.createDataFrame([(v,) for v in p], "p double").repartition(3)
    have = [r["q"] for r in with_q(tested, "p", "q").orderBy("p").collect()]
    assert have == pytest.approx(list(false_discovery_control(p)), rel=1e-12)


def permuted(baskets: list[list[str]], seed: int) -> list[list[str]]:
    """Each item goes to as many baskets as before, drawn anew: nothing goes with anything."""
    draw = np.random.default_rng(seed)
    made: list[list[str]] = [[] for _ in baskets]
    for item in sorted({item for basket in baskets for item in basket}):
        for at in draw.choice(len(baskets), sum(item in basket for basket in baskets), replace=False):
            made[at].append(item)
    return made


def test_permuted_baskets_give_no_rules(spark):
    baskets = baskets_of_chance(400, 14, 0.25, 9)
    estimator = AssociationRules(minSupport=0.01, minConfidence=0.0, minLift=1.0, maxQ=0.05, maxConsequent=0)
    planted = told(estimator.fit(spark.createDataFrame([(b,) for b in baskets], "items array<string>")).rules)
    assert (("i01",), ("i02",)) in planted
    for seed in range(3):
        mixed = [(b,) for b in permuted(baskets, seed)]
        model = estimator.fit(spark.createDataFrame(mixed, "items array<string>"))
        assert model.itemsets.count() > 100
        assert told(model.rules) == {}


def test_shuffled_baskets_give_the_same_rules(spark):
    frame = spark.createDataFrame([(b,) for b in BASKETS], "items array<string>")
    turned = spark.createDataFrame([(b[::-1],) for b in BASKETS[::-1]], "items array<string>").repartition(5)
    a, b = (AssociationRules(minSupport=SUPPORT, minConfidence=0.3).fit(one).rules for one in (frame, turned))
    assert sorted(map(str, a.collect())) == sorted(map(str, b.collect()))


def test_a_model_tells_what_to_expect_and_survives_a_save(spark, tmp_path):
    frame = spark.createDataFrame([(["a", "b"],)] * 3 + [(["c"],)], "items array<string>")
    model = AssociationRules(minSupport=0.5, minConfidence=0.9, predictionCol="expected").fit(frame)
    PipelineModel([model]).write().overwrite().save(str(tmp_path / "model"))
    again = PipelineModel.load(str(tmp_path / "model")).stages[0]
    assert isinstance(again, AssociationRulesModel)
    assert sorted(map(str, again.rules.collect())) == sorted(map(str, model.rules.collect()))
    assert_rows(again.transform(rows(spark, None, "items\n[a]\n[a, b]\n[]", items="array<string>")), """
        items  | expected
        [a]    | [b]
        [a, b] | []
        []     | []
    """)  # fmt: skip


def test_mlflow_logs_and_loads_a_model(spark, tmp_path, monkeypatch):
    import mlflow

    monkeypatch.chdir(tmp_path)
    mlflow.set_tracking_uri(f"sqlite:///{tmp_path}/mlflow.db")
    frame = spark.createDataFrame([(["a", "b"],)] * 3 + [(["c"],)], "items array<string>")
    model = AssociationRules(minSupport=0.5, minConfidence=0.9).fit(frame)
    experiment = mlflow.create_experiment("rules", (tmp_path / "artifacts").as_uri())
    with mlflow.start_run(experiment_id=experiment):
        scratch = (tmp_path / "scratch").as_uri()
        logged = mlflow.spark.log_model(model, artifact_path="model", dfs_tmpdir=scratch, pip_requirements=["pyspark"])
    loaded = mlflow.spark.load_model(logged.model_uri, dfs_tmpdir=scratch)
    assert loaded.stages[0].rules.count() == model.rules.count() == 2


def test_wrong_choices_are_told(spark, found):
    with pytest.raises(ConfigError, match="test must be one of fisher, chi2"):
        AssociationRules(test="t").rules(found, 60)
    with pytest.raises(ConfigError, match="minSupport"):
        AssociationRules(minSupport=0.0).fit(spark.createDataFrame([(["a"],)], "items array<string>"))


def test_rules_by_stratum_equal_counting_by_hand(spark, found):
    people = [(basket, "fm"[at % 2] if at % 7 else None, at % 3) for at, basket in enumerate(BASKETS)]
    frame = spark.createDataFrame(people, "items array<string>, sex string, site int")
    some = AssociationRules(minConfidence=0.4).rules(found, len(BASKETS))
    have = by_stratum(some, frame, columns=["sex", "site"]).collect()
    levels = {("sex", "f"), ("sex", "m"), ("site", "0"), ("site", "1"), ("site", "2")}
    assert {(r["stratum"], r["level"]) for r in have} == levels
    assert len(have) == len(levels) * some.count()
    p_values = []
    for r in have:
        at = {"sex": 1, "site": 2}[r["stratum"]]
        known = [p for p in people if p[at] is not None]
        here = [p for p in known if str(p[at]) == r["level"]]

        def n(among: list, items: list[str]) -> int:
            return sum(set(items) <= set(p[0]) for p in among)

        left, both = r["antecedent"], [*r["antecedent"], *r["consequent"]]
        counts = (len(here), n(here, both), n(here, left))
        assert (r["n_baskets"], r["freq"], r["n_antecedent"]) == counts
        elsewhere = [p for p in known if str(p[at]) != r["level"]]
        if n(here, left):
            assert r["confidence"] == pytest.approx(counts[1] / counts[2])
            share = n(here, r["consequent"]) / len(here)
            assert r["lift"] == (pytest.approx(counts[1] / counts[2] / share) if share else None)
        if n(here, left) and n(elsewhere, left):
            assert r["difference"] == pytest.approx(counts[1] / counts[2] - n(elsewhere, both) / n(elsewhere, left))
        table = [[counts[1], counts[2] - counts[1]], [n(elsewhere, both), n(elsewhere, left) - n(elsewhere, both)]]
        tails = [fisher_exact(table, alternative=side)[1] for side in ("greater", "less")]
        assert r["p"] == pytest.approx(min(1.0, 2 * min(tails)), rel=1e-7)
        p_values.append(r["p"])
    assert [r["q"] for r in have] == pytest.approx(list(false_discovery_control(p_values)), rel=1e-7)


def test_the_network_has_an_edge_per_frequent_pair(spark, found):
    counts, n = itemsets(BASKETS, SUPPORT), len(BASKETS)
    have = edges(found, n).collect()
    pairs = {items: m for items, m in counts.items() if len(items) == 2}
    assert {(r["item_a"], r["item_b"]): r["n_both"] for r in have} == pairs
    tests = math.comb(sum(len(items) == 1 for items in counts), 2)
    p = [r["p"] for r in have]
    q = false_discovery_control([*p, *[1.0] * (tests - len(p))])[: len(p)]
    assert [r["q"] for r in have] == pytest.approx(np.minimum(q, 1.0), rel=1e-9)
    for r in have:
        a, b, both = r["n_a"], r["n_b"], r["n_both"]
        x = np.array([[i < a, i < both or a <= i < a + b - both] for i in range(n)], dtype=float)
        assert r["phi"] == pytest.approx(np.corrcoef(x.T)[0, 1], abs=1e-12)
        table = [[both, a - both], [b - both, n - a - b + both]]
        assert r["p"] == pytest.approx(fisher_exact(table, alternative="greater")[1], rel=1e-7)
        if min(map(min, table)) > 0:
            assert r["odds_ratio"] == pytest.approx(table[0][0] * table[1][1] / table[0][1] / table[1][0])


def test_an_odds_ratio_with_an_empty_cell_is_finite(spark):
    table = spark.createDataFrame([(["a"], 2), (["b"], 3), (["a", "b"], 2)], "items array<string>, freq bigint")
    assert edges(table, 5).first()["odds_ratio"] == pytest.approx(2.5 * 2.5 / (0.5 * 1.5))
