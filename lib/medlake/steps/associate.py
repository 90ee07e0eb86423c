"""associate: which conditions and drugs go together."""

from __future__ import annotations

from medlake.doors.ledger import Counts
from medlake.grammar.contract import promise
from medlake.mining.association import capped, counted, rules
from medlake.mining.fitting import frequent_itemsets
from medlake.steps.context import Context


def run(ctx: Context) -> Counts:
    """Write gold.association_rule.

    An itemset of fewer patients than `privacy.small_count` could not be published and is not looked for: in a
    small lake, where a few patients share most of their codes, there are millions of those.
    """
    choices = ctx.settings.associate
    basket = ctx.lake.read("gold.basket").localCheckpoint()
    support = max(choices.min_support, ctx.settings.privacy.small_count / max(basket.count(), 1))
    if support > 1:
        ctx.say("associate: there are too few patients for rules")
        empty = ctx.spark.createDataFrame([], promise("gold.association_rule").schema)
        ctx.lake.merge("gold.association_rule", empty)
        return Counts()
    short = capped(basket, min_support=support, max_items=choices.max_items_per_basket)
    itemsets = frequent_itemsets(short.localCheckpoint(), min_support=support)
    counts = counted(itemsets, basket, min_support=support, max_items=choices.max_length)
    found = rules(counts.localCheckpoint(), min_confidence=choices.min_confidence)
    ctx.lake.merge("gold.association_rule", found)
    return Counts()
