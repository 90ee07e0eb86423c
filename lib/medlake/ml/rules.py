"""AssociationRules: who has these items tends to have those. Fitting runs Spark jobs; `rules` is lazy."""

from __future__ import annotations

from typing import Any

from pyspark import keyword_only
from pyspark.ml import Estimator, Model
from pyspark.ml.param import Param, Params, TypeConverters
from pyspark.ml.util import DefaultParamsReadable, DefaultParamsWritable
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from medlake.grammar.errors import ConfigError
from medlake.ml import counting
from medlake.ml.itemsets import BasketParams, mined
from medlake.ml.persistence import KeepsTables
from medlake.ml.significance import chi2_tail, fisher_tail, p_of, with_q

TESTS = {"fisher": fisher_tail, "chi2": chi2_tail}
CORRECTIONS = ("searched", "found")
MEASURES = ("support", "confidence", "lift", "leverage", "conviction", "zhang")
RULE = ("antecedent", "consequent")


def _param(name: str, about: str, convert: Any) -> Any:
    return Param(Params._dummy(), name, about, typeConverter=convert)


class AssociationRules(
    Estimator["AssociationRulesModel"], BasketParams, DefaultParamsReadable[Any], DefaultParamsWritable
):
    """Rules `antecedent ⇒ consequent` with how often and how surely they hold (Agrawal and Srikant 1994).

    `rules(itemsets, n_baskets)` makes them from frequent itemsets; `fit(baskets)` finds the itemsets first.

    minConfidence, minLift, maxQ: what a rule must reach to be told (1, 0 and 1 let everything pass).
    maxConsequent: most items of a consequent (1; 0: any number, every split of every itemset).
    test: `fisher`, exact and one-sided (the hypergeometric tail), or `chi2`, Pearson's, two-sided.
    correction: q is Benjamini and Hochberg's, before any threshold is applied. `searched` counts every rule
    that could have been made of the frequent items as a test, layer by layer of the number of items, each
    layer with an equal share (Webb 2008): frequent itemsets are chosen by how often items meet, so that the
    rules found are no fair sample of those looked at. `found` counts the rules of the itemsets alone.
    minImprovement: with 0 or more, a rule is redundant, and left out, where a rule with a part of its
    antecedent and the same consequent is told and comes within so much of its confidence (Bayardo 2000);
    negative (the default): none is.

    Measures: support n/N; confidence n/n_A; lift confidence/(n_C/N); leverage support − n_A·n_C/N² (Piatetsky-
    Shapiro 1991); conviction (1 − n_C/N)/(1 − confidence), null where there is no exception (Brin 1997);
    zhang leverage/max(support·(1 − n_A/N), n_A/N·(n_C/N − support)), 0 where that is 0/0 (Zhang 2000).

    Time: one join of the itemsets with themselves per side; the splits are 2^k − 2 for an itemset of k items
    where maxConsequent is 0, k where it is 1.

    >>> AssociationRules(minConfidence=0.5).rules(model.itemsets, model.nBaskets)  # doctest: +SKIP
    """

    minConfidence: Param[float] = _param("minConfidence", "least confidence told", TypeConverters.toFloat)
    minLift: Param[float] = _param("minLift", "least lift told", TypeConverters.toFloat)
    maxQ: Param[float] = _param("maxQ", "largest q told", TypeConverters.toFloat)
    maxConsequent: Param[int] = _param("maxConsequent", "most items of a consequent", TypeConverters.toInt)
    test: Param[str] = _param("test", f"one of {', '.join(TESTS)}", TypeConverters.toString)
    correction: Param[str] = _param("correction", f"one of {', '.join(CORRECTIONS)}", TypeConverters.toString)
    minImprovement: Param[float] = _param(
        "minImprovement", "confidence that a longer rule must add", TypeConverters.toFloat
    )
    predictionCol: Param[str] = _param("predictionCol", "items that rules expect", TypeConverters.toString)

    @keyword_only
    def __init__(
        self, *, minConfidence: float = 0.8, minLift: float = 0.0, maxQ: float = 1.0, maxConsequent: int = 1,
        test: str = "fisher", correction: str = "searched", minImprovement: float = -1.0, minSupport: float = 0.01,
        itemsCol: str = "items", predictionCol: str = "prediction", maxLength: int = 0, maxItems: int = 0,
        method: str = "eclat", maxCandidates: int = 2_000_000,
    ) -> None:  # fmt: skip
        super().__init__()
        self._basket_defaults()
        self._setDefault(
            minConfidence=0.8, minLift=0.0, maxQ=1.0, maxConsequent=1, test="fisher", correction="searched",
            minImprovement=-1.0, predictionCol="prediction",
        )  # fmt: skip
        self._set(**self._input_kwargs)  # type: ignore[attr-defined]

    def setParams(self, **choices: Any) -> AssociationRules:
        """Set choices by name."""
        self._set(**choices)
        return self

    def rules(self, itemsets: DataFrame, n_baskets: int) -> DataFrame:
        """antecedent, consequent, freq, the measures, p, q: one row per rule. Lazy.

        itemsets: items (sorted, distinct), freq, every part of an itemset among them (closed or maximal ones
        alone make no rules). n_baskets: the number they were counted in.
        """
        self._checked()
        largest = self.getOrDefault(self.maxConsequent)
        tested = with_counts(split(itemsets, largest), itemsets, n_baskets)
        p = p_of(TESTS[self.getOrDefault(self.test)], "freq", "n_antecedent", "n_consequent", "n_baskets")
        tested = with_measures(tested).withColumn("p", p)
        if self.getOrDefault(self.correction) == "searched":
            judged = with_searched_q(tested, itemsets, largest)
        else:
            judged = with_q(tested, "p", "q")
        told = judged.where(
            (F.col("confidence") >= self.getOrDefault(self.minConfidence))
            & (F.col("lift") >= self.getOrDefault(self.minLift))
            & (F.col("q") <= self.getOrDefault(self.maxQ))
        ).select(*RULE, "freq", *MEASURES, "p", "q")
        improvement = self.getOrDefault(self.minImprovement)
        return without_redundant(told, improvement) if improvement >= 0 else told

    def _checked(self) -> None:
        super()._checked()
        for choice, known in ((self.test, TESTS), (self.correction, CORRECTIONS)):
            if self.getOrDefault(choice) not in known:
                raise ConfigError(f"{choice.name} must be one of {', '.join(known)}")

    def _fit(self, dataset: DataFrame) -> AssociationRulesModel:
        self._checked()
        itemsets, n = mined(counting.baskets_of(dataset, self.getOrDefault(self.itemsCol)), self)
        model = AssociationRulesModel(itemsets, self.rules(itemsets, n).localCheckpoint(), n)
        return self._copyValues(model)


def split(itemsets: DataFrame, largest: int) -> DataFrame:
    """antecedent, consequent, freq: each way to part an itemset; consequents of at most `largest` items (0: any)."""
    one = F.expr("transform(sequence(0, size(items) - 1), at -> shiftleft(1L, at))")
    every = F.expr("sequence(1L, shiftleft(1L, size(items)) - 2L)")
    some = every if largest == 0 else F.filter(every, lambda mask: F.bit_count(mask) <= largest)
    masks = one if largest == 1 else some
    ways = itemsets.where(F.size("items") > 1).select("items", "freq", F.explode(masks).alias("mask"))
    return ways.select(
        F.filter("items", lambda item, at: F.getbit("mask", at) == 0).alias("antecedent"),
        F.filter("items", lambda item, at: F.getbit("mask", at) == 1).alias("consequent"),
        "freq",
    )


def with_counts(sides: DataFrame, itemsets: DataFrame, n_baskets: int) -> DataFrame:
    """Adds n_antecedent, n_consequent and n_baskets."""
    for side in RULE:
        of_side = itemsets.select(F.col("items").alias(side), F.col("freq").alias(f"n_{side}"))
        sides = sides.join(of_side, on=side, how="inner")
    return sides.withColumn("n_baskets", F.lit(n_baskets).cast("bigint"))


def with_measures(counts: DataFrame) -> DataFrame:
    """Adds the measures, from freq, n_antecedent, n_consequent and n_baskets."""
    n, total = F.col("freq"), F.col("n_baskets")
    n_if, share_if, share = F.col("n_antecedent"), F.col("n_antecedent") / total, F.col("n_consequent") / total
    support, confidence = n / total, n / n_if
    leverage = support - share_if * share
    spread = F.greatest(support * (1 - share_if), share_if * (share - support))
    return counts.withColumns(
        {
            "support": support,
            "confidence": confidence,
            "lift": confidence / share,
            "leverage": leverage,
            "conviction": F.when(n < n_if, (1 - share) / (1 - confidence)),
            "zhang": F.when(spread == 0, 0.0).otherwise(leverage / spread),
        }
    )


def n_rules(n_items: Column, size: Column, largest: int) -> Column:
    """How many rules of `size` items could be made of `n_items` items: choices of items times ways to part them."""

    def choose(n: Column, k: Column) -> Column:
        return F.when(k <= n, F.aggregate(
            F.sequence(F.lit(1), k), F.lit(1.0), lambda made, at: made * (n - k + at) / at
        )).otherwise(0.0)  # fmt: skip

    if largest == 0:
        ways = F.pow(F.lit(2.0), size) - 2
    elif largest == 1:
        ways = size.cast("double")
    else:
        takes = F.sequence(F.lit(1), F.least(F.lit(largest), size - 1))
        ways = F.aggregate(takes, F.lit(0.0), lambda sum_, k: sum_ + choose(size, k))
    return choose(n_items, size) * ways


def with_searched_q(tested: DataFrame, itemsets: DataFrame, largest: int) -> DataFrame:
    """Adds q over every rule that could have been made, with an equal share for each number of items (Webb 2008)."""
    seen = itemsets.agg(
        F.count_if(F.size("items") == 1).cast("int").alias("n_items"),
        F.greatest(F.max(F.size("items")) - 1, F.lit(1)).alias("n_layers"),
    )
    size = F.size("antecedent") + F.size("consequent")
    sized = tested.crossJoin(F.broadcast(seen)).withColumn("size", size)
    layered = sized.withColumn("n_tests", n_rules(F.col("n_items"), F.col("size"), largest))
    judged = with_q(layered, "p", "q", n_tests=F.col("n_tests"), within="size")
    return judged.withColumn("q", F.least(F.col("q") * F.col("n_layers"), F.lit(1.0)))


def without_redundant(told: DataFrame, improvement: float) -> DataFrame:
    """Rules that beat every rule with a part of their antecedent and the same consequent by `improvement`."""
    parts = F.expr("sequence(1L, shiftleft(1L, size(antecedent)) - 2L)")
    longer = told.where(F.size("antecedent") > 1).select(
        F.col("antecedent").alias("whole"), "consequent", F.col("confidence").alias("reached"),
        F.explode(parts).alias("mask"), "antecedent",
    )  # fmt: skip
    part = F.filter("antecedent", lambda item, at: F.getbit("mask", at) == 1)
    known = told.select("antecedent", "consequent", "confidence")
    redundant = (
        longer.withColumn("antecedent", part)
        .join(known, on=list(RULE), how="inner")
        .where(F.col("reached") < F.col("confidence") + improvement)
        .select(F.col("whole").alias("antecedent"), "consequent")
        .distinct()
    )
    return told.join(redundant, on=list(RULE), how="left_anti")


class AssociationRulesModel(Model, KeepsTables, BasketParams):
    """Rules, and the itemsets they come from. rules: as `AssociationRules.rules` gives them."""

    predictionCol: Param[str] = _param("predictionCol", "items that rules expect", TypeConverters.toString)

    def __init__(
        self, itemsets: DataFrame | None = None, rules: DataFrame | None = None, n_baskets: int = 0
    ) -> None:
        super().__init__()
        self._basket_defaults()
        self._setDefault(predictionCol="prediction")
        self._itemsets, self._rules, self._n_baskets = itemsets, rules, n_baskets

    @property
    def rules(self) -> DataFrame:
        """antecedent, consequent, freq, the measures, p, q."""
        return _fitted(self._rules)

    @property
    def itemsets(self) -> DataFrame:
        """items, freq of every frequent itemset."""
        return _fitted(self._itemsets)

    @property
    def nBaskets(self) -> int:
        """The number of baskets."""
        return self._n_baskets

    def _transform(self, dataset: DataFrame) -> DataFrame:
        """Adds `predictionCol`: what the rules that a basket meets expect and it does not hold, sorted.

        The rules of the model are broadcast: they are results, bounded by `maxCandidates`.
        """
        basket = F.coalesce(F.col(self.getOrDefault(self.itemsCol)), F.array().cast("array<string>"))
        all_rules = self.rules.agg(F.collect_list(F.struct(*RULE)).alias("_rules"))
        met = F.filter("_rules", lambda rule: F.size(F.array_except(rule["antecedent"], basket)) == 0)
        expected = F.flatten(F.transform(met, lambda rule: rule["consequent"]))
        new = F.array_sort(F.array_except(expected, basket))
        return (
            dataset.crossJoin(F.broadcast(all_rules))
            .withColumn(self.getOrDefault(self.predictionCol), new)
            .drop("_rules")
        )

    def _facts(self) -> dict[str, Any]:
        return {"nBaskets": self._n_baskets}

    def _tables(self) -> dict[str, DataFrame]:
        return {"itemsets": self.itemsets, "rules": self.rules}

    def _restore(self, facts: dict[str, Any], tables: dict[str, DataFrame]) -> None:
        self._n_baskets = int(facts["nBaskets"])
        self._itemsets, self._rules = tables["itemsets"], tables["rules"]


def _fitted(table: DataFrame | None) -> DataFrame:
    if table is None:
        raise ConfigError("This model was not fitted; load one, or fit AssociationRules")
    return table
