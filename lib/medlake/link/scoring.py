"""The weight of every pair of records, why it is what it is, and what follows from it."""

from __future__ import annotations

from functools import reduce
from operator import add

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from medlake.link.blocking import BLOCK_RULES, blocks, candidates
from medlake.link.comparison import COMPARISONS, VETOES, Comparison
from medlake.link.fields import FIELDS
from medlake.link.model import Model

LINKED, DOUBTFUL, VETOED = "linked", "doubtful", "vetoed"


def compared(new: DataFrame, others: DataFrame, model: Model, *, key: str) -> DataFrame:
    """New records with each other and with the others: pairs in a block, once, with their levels and weight.

    Both have `key` and FIELDS. Makes <key>_l < <key>_r, level_<field>, match_weight (bits), veto.
    """
    pairs = candidates(in_blocks(new, model, key), in_blocks(others, model, key), key=key)
    every = new.select(key, *FIELDS).unionByName(others.select(key, *FIELDS))
    left, right = (every.select(*[F.col(c).alias(f"{c}_{side}") for c in (key, *FIELDS)]) for side in ("l", "r"))
    both = pairs.join(left, on=f"{key}_l", how="inner").join(right, on=f"{key}_r", how="inner")
    return with_weight(levelled(both), model)


def in_blocks(records: DataFrame, model: Model, *columns: str) -> DataFrame:
    """Rows of `blocks` that the model's plan compares."""
    used = [place for place, rule in enumerate(BLOCK_RULES) if rule.name in model.rules]
    found = blocks(records, *columns).where(F.col("rule").isin(used))
    if not model.stopped:
        return found
    stops = records.sparkSession.createDataFrame([(b,) for b in model.stopped], "block bigint")
    return found.join(F.broadcast(stops), on="block", how="left_anti")


def levelled(pairs: DataFrame) -> DataFrame:
    """Pairs with level_<field> of every comparison instead of the fields themselves.

    The levels come out of a generator: Spark does not look through it, so that a filter on what is made of them
    does not compare each pair once more.
    """
    kept = [c for c in pairs.columns if c[:-2] not in FIELDS or c[-2:] not in ("_l", "_r")]
    levels = F.struct(*[F.expr(c.case).alias(f"level_{c.field}") for c in COMPARISONS])
    return pairs.select(*kept, F.explode(F.array(levels)).alias("_")).select(*kept, "_.*")


def with_weight(pairs: DataFrame, model: Model) -> DataFrame:
    """Pairs with levels also have match_weight (bits, the odds beforehand included) and the veto against them."""
    weight = reduce(add, [_weight(c, model) for c in COMPARISONS], F.lit(model.prior_weight))
    veto = F.coalesce(*[F.when(F.expr(v.when), F.lit(v.name)) for v in VETOES])
    return pairs.withColumns({"match_weight": F.round(weight, 6), "veto": veto})


def judged(pairs: DataFrame, *, threshold: float, doubt: float) -> DataFrame:
    """The pairs worth keeping, with `decision`.

    linked: the weight reaches `threshold` bits and nothing speaks against it. doubtful: it reaches `doubt` only.
    vetoed: it reaches the threshold, but a veto holds.
    """
    weight = F.col("match_weight")
    decision = (
        F.when((weight >= threshold) & F.col("veto").isNull(), LINKED)
        .when(weight >= threshold, VETOED)
        .when(F.col("veto").isNull(), DOUBTFUL)
    )
    return pairs.where(weight >= doubt).withColumn("decision", decision).where(F.col("decision").isNotNull())


def explained(pairs: DataFrame, model: Model) -> DataFrame:
    """Pairs with `explanation`, e.g. [family same +8.1, given near +4.6] bits: every field that both records have."""
    told = [
        F.when(
            F.col(f"level_{c.field}") >= 0,
            F.format_string(f"{c.field} %s %+.1f", _name(c), _weight(c, model)),
        )
        for c in COMPARISONS
    ]
    levels = [f"level_{c.field}" for c in COMPARISONS]
    return pairs.withColumn("explanation", F.array_compact(F.array(*told))).drop(*levels)


def _weight(comparison: Comparison, model: Model) -> Column:
    at = F.col(f"level_{comparison.field}")
    known = F.array(*[F.lit(w) for w in model.weights(comparison)])
    return F.when(at < 0, F.lit(0.0)).otherwise(F.get(known, at))


def _name(comparison: Comparison) -> Column:
    return F.get(F.array(*[F.lit(level.name) for level in comparison.levels]), F.col(f"level_{comparison.field}"))
