"""Real files: the rules that were published, and exactly what mlxtend counts."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from ml_samples import cleveland, diabetes130, mimic3
from mlxtend.frequent_patterns import association_rules, fpgrowth
from mlxtend.preprocessing import TransactionEncoder

from medlake.ml import AssociationRules, FrequentItemsets
from medlake.ml.strata import by_stratum
from shared import shared_samples


def by_mlxtend(baskets: list[list[str]], support: float, confidence: float) -> tuple[dict, dict]:
    """Itemsets with their counts, and rules with their measures."""
    encoder = TransactionEncoder()
    wide = pd.DataFrame.sparse.from_spmatrix(encoder.fit_transform(baskets, sparse=True), columns=encoder.columns_)
    found = fpgrowth(wide, min_support=support, use_colnames=True)
    counts = {frozenset(s): round(v * len(baskets)) for s, v in zip(found.itemsets, found.support, strict=True)}
    table = association_rules(found, metric="confidence", min_threshold=confidence)
    return counts, {(r.antecedents, r.consequents): r for r in table.itertuples()}


def frame(spark, baskets: list[list[str]]) -> Any:
    return spark.createDataFrame([(b,) for b in baskets], "items array<string>").repartition(3)


def assert_same(spark, baskets: list[list[str]], support: float, confidence: float) -> tuple[int, int]:
    counts, rules = by_mlxtend(baskets, support, confidence)
    model = FrequentItemsets(minSupport=support).fit(frame(spark, baskets))
    assert {frozenset(r["items"]): r["freq"] for r in model.itemsets.collect()} == counts
    estimator = AssociationRules(minConfidence=confidence, maxConsequent=0)
    have = estimator.rules(model.itemsets, model.nBaskets).collect()
    assert {(frozenset(r["antecedent"]), frozenset(r["consequent"])) for r in have} == set(rules)
    for r in have:
        want = rules[frozenset(r["antecedent"]), frozenset(r["consequent"])]
        for name in ("support", "confidence", "lift", "leverage"):
            assert r[name] == pytest.approx(getattr(want, name), abs=1e-12)
        assert (np.inf if r["conviction"] is None else r["conviction"]) == pytest.approx(want.conviction, rel=1e-9)
        assert r["zhang"] == pytest.approx(want.zhangs_metric, abs=1e-9)
    return len(counts), len(rules)


@pytest.mark.parametrize(("by", "support"), [("encounter_id", 0.01), ("patient_nbr", 0.01), ("patient_nbr", 0.002)])
def test_diabetes_130_is_what_mlxtend_counts(spark, by, support):
    baskets = diabetes130(shared_samples("diabetes130"), by=by)
    n_itemsets, n_rules = assert_same(spark, baskets, support, 0.3)
    assert n_itemsets > 50 and n_rules > 5


def test_mimic_is_what_mlxtend_counts_and_holds_the_rule_of_heart_and_kidney(spark):
    baskets = mimic3(shared_samples("mimic3-demo"))
    assert_same(spark, baskets, 0.1, 0.6)
    model = AssociationRules(minSupport=0.1, minConfidence=0.6).fit(frame(spark, baskets))
    sizes = {r["size"]: r["count"] for r in model.itemsets.selectExpr("size(items) AS size").groupBy("size").count().collect()}
    assert (len(baskets), sizes[1], sizes[2], sizes[3]) == (129, 32, 86, 50)
    found = {(*r["antecedent"], *r["consequent"]): r for r in model.rules.collect() if len(r["antecedent"]) == 1}
    rule = found["403", "585"]
    assert (rule["freq"], round(rule["confidence"], 3), round(rule["lift"], 2)) == (15, 0.882, 5.42)
    assert rule["q"] < 1e-6


def test_cleveland_holds_the_published_rules_of_men_and_women(spark):
    """Sex is an item here, as in Nahar 2013: lift is over the share of disease in all 303 patients."""
    people = [[*items, sex] for items, sex in cleveland(shared_samples("uci-heart"))]
    assert len(people) == 303
    model = AssociationRules(minSupport=0.02, minConfidence=0.5).fit(frame(spark, people))
    found = {(tuple(r["antecedent"]), *r["consequent"]): r for r in model.rules.collect()}
    men, women = (found[("cp=4", "exang=1", sex), "disease"] for sex in ("male", "female"))
    assert (round(men["freq"] / men["confidence"]), round(men["confidence"], 3), round(men["lift"], 2)) == (62, 0.903, 1.97)
    assert (round(women["freq"] / women["confidence"]), round(women["confidence"], 3)) == (18, 0.778)
    assert men["q"] < 1e-6


@pytest.mark.long
def test_cleveland_by_stratum_is_the_same_as_men_and_women_alone(spark):
    people = spark.createDataFrame(cleveland(shared_samples("uci-heart")), "items array<string>, sex string")
    model = AssociationRules(minSupport=0.05, minConfidence=0.7).fit(people)
    told = {
        (tuple(r["antecedent"]), *r["consequent"], r["level"]): r
        for r in by_stratum(model.rules, people, columns=["sex"]).collect()
    }
    men = told[("cp=4", "exang=1"), "disease", "male"]
    women = told[("cp=4", "exang=1"), "disease", "female"]
    assert (men["n_antecedent"], round(men["confidence"], 3)) == (62, 0.903)
    assert (women["n_antecedent"], round(women["confidence"], 3)) == (18, 0.778)
    assert men["difference"] == pytest.approx(-women["difference"])
    assert men["difference"] == pytest.approx(0.903 - 0.778, abs=1e-3)
    assert women["lift"] > men["lift"], "disease is rarer in women, so that the rule says more"


@pytest.mark.long
def test_permuted_diagnoses_give_no_rules(spark):
    baskets = diabetes130(shared_samples("diabetes130"), by="patient_nbr")
    draw = np.random.default_rng(5)
    holders: dict[str, int] = {}
    for basket in baskets:
        for item in basket:
            holders[item] = holders.get(item, 0) + 1
    mixed: list[list[str]] = [[] for _ in baskets]
    for item, n in sorted(holders.items()):
        for at in draw.choice(len(baskets), n, replace=False):
            mixed[at].append(item)
    estimator = AssociationRules(minSupport=0.002, minConfidence=0.0, minLift=1.0, maxQ=0.05, maxConsequent=0)
    assert estimator.fit(frame(spark, baskets)).rules.count() > 20
    model = estimator.fit(frame(spark, mixed))
    assert model.itemsets.where("size(items) > 1").count() > 50
    assert model.rules.count() == 0
