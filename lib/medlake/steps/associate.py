"""associate: which conditions and drugs go together."""

from __future__ import annotations

from pyspark import StorageLevel

from medlake.doors.ledger import Counts
from medlake.mining.association import capped, counted, rules
from medlake.mining.fitting import frequent_itemsets
from medlake.steps.context import Context


def run(ctx: Context) -> Counts:
    """Write gold.association_rule."""
    choices = ctx.settings.associate
    basket = ctx.lake.read("gold.basket").persist(StorageLevel.MEMORY_AND_DISK)
    short = capped(basket, min_support=choices.min_support, max_items=choices.max_items_per_basket)
    itemsets = frequent_itemsets(short, min_support=choices.min_support)
    counts = counted(itemsets, basket, min_support=choices.min_support, max_items=choices.max_length)
    counts = counts.persist(StorageLevel.MEMORY_AND_DISK)
    try:
        ctx.lake.merge("gold.association_rule", rules(counts, min_confidence=choices.min_confidence))
    finally:
        counts.unpersist()
        basket.unpersist()
    return Counts()
