"""associate: which conditions and drugs go together, in whom, and what follows what."""

from __future__ import annotations

from functools import partial

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from medlake.doors.ledger import Counts
from medlake.features.baskets import baskets_of, events, strata
from medlake.grammar.contract import promise
from medlake.mining.association import (
    association_rule,
    association_stratum,
    comorbidity_edge,
    sequence_pattern,
)
from medlake.ml import AssociationRules, FrequentItemsets, SequencePatterns
from medlake.ml.hierarchy import rolled_up
from medlake.ml.strata import by_stratum
from medlake.steps.context import Context

TABLES = ("gold.association_rule", "gold.association_stratum", "gold.comorbidity_edge", "gold.sequence_pattern")
MIN_LIFT = 1.1  # a rule below says hardly more than how frequent its consequent is
MAX_Q = 0.05
MIN_IMPROVEMENT = 0.02  # confidence that one more item in the antecedent must add


def run(ctx: Context) -> Counts:
    """Write gold.association_rule, association_stratum, comorbidity_edge and sequence_pattern.

    What fewer patients than `privacy.small_count` share could not be published and is not looked for: in a
    small lake, where a few patients share most of their codes, there are millions of such itemsets.
    """
    told = events(ctx.lake.read("silver.condition_occurrence"), ctx.lake.read("silver.drug_exposure"))
    if ctx.settings.associate.roll_up:
        told = told.withColumn("item", rolled_up(F.col("item"))).localCheckpoint()
        basket = baskets_of(told, "person_id").localCheckpoint()
    else:
        told, basket = told.localCheckpoint(), ctx.lake.read("gold.basket").localCheckpoint()
    if ctx.settings.privacy.small_count > basket.count():
        ctx.say("associate: there are too few patients for rules")
        for name in TABLES:
            ctx.lake.merge(name, ctx.spark.createDataFrame([], promise(name).schema))
        return Counts()
    ctx.side_by_side(
        [partial(_rules, ctx, basket, told), partial(_network, ctx, told), partial(_sequences, ctx, told)]
    )
    return Counts()


def _support(ctx: Context, n: int) -> float:
    return min(1.0, max(ctx.settings.associate.min_support, ctx.settings.privacy.small_count / max(n, 1)))


def _rules(ctx: Context, basket: DataFrame, told: DataFrame) -> None:
    choices = ctx.settings.associate
    found = AssociationRules(
        minSupport=_support(ctx, basket.count()), minConfidence=choices.min_confidence, minLift=MIN_LIFT,
        maxQ=MAX_Q, minImprovement=MIN_IMPROVEMENT, maxLength=choices.max_length,
        maxItems=choices.max_items_per_basket,
    ).fit(basket)  # fmt: skip
    ctx.lake.merge("gold.association_rule", association_rule(found.rules))
    known = basket.join(strata(ctx.lake.read("silver.person"), told), on="person_id", how="left")
    told_apart = by_stratum(found.rules, known, columns=("sex", "age_band"))
    ctx.lake.merge("gold.association_stratum", association_stratum(told_apart))


def _network(ctx: Context, told: DataFrame) -> None:
    conditions = baskets_of(told.where(F.col("kind") == "condition"), "person_id").localCheckpoint()
    found = FrequentItemsets(minSupport=_support(ctx, conditions.count()), maxLength=2).fit(conditions)
    ctx.lake.merge("gold.comorbidity_edge", comorbidity_edge(found.itemsets, found.nBaskets))


def _sequences(ctx: Context, told: DataFrame) -> None:
    choices = ctx.settings.associate
    dated = told.where(F.col("on").isNotNull())
    n = dated.select("person_id").distinct().count()
    found = SequencePatterns(
        minSupport=_support(ctx, n), maxLength=choices.max_steps, windowDays=choices.window_days,
        firstOnly=True, timeCol="on",
    ).fit(dated)  # fmt: skip
    ctx.lake.merge("gold.sequence_pattern", sequence_pattern(found.patterns, found.pairs))
