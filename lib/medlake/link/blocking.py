"""Which records are compared at all: those that share a block, the values of one rule's fields.

Every pair of a rule's blocks costs time. How many there are is counted first; a rule beyond its budget goes without
its largest blocks. What is left out stands in the model, so that it does not change with the order of arrival.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

MAX_STOPPED = 10_000  # blocks of one rule that may be left out; a rule with more of them goes as a whole

# Day and month in one order, names in one order: who swapped them lands in the same block.
_BIRTH = "concat(substr(birth, 1, 4), least(substr(birth, 5, 2), substr(birth, 7, 2)), " \
    "greatest(substr(birth, 5, 2), substr(birth, 7, 2)))"  # fmt: skip


@dataclass(frozen=True)
class BlockRule:
    """Records that agree in all `keys` (SQL on the fields) are compared; null agrees with nothing."""

    name: str
    keys: tuple[str, ...]


BLOCK_RULES: tuple[BlockRule, ...] = (
    BlockRule("national_id", ("national_id",)),
    BlockRule("phone", ("phone",)),
    BlockRule("email", ("email",)),
    BlockRule("birth_family", (_BIRTH, "family_sound")),
    BlockRule("birth_given", (_BIRTH, "given_root")),
    BlockRule("birth_zip", (_BIRTH, "zip")),
    BlockRule("names", ("least(given, family) || ' ' || greatest(given, family)",)),
    BlockRule("names_year", ("given_root", "family_sound", "substr(birth, 1, 4)")),
    BlockRule("names_day", ("given_root", "family_sound", "substr(birth, 5, 4)")),
    BlockRule("home_given", ("street", "house", "given_root")),
    BlockRule("home_birth_year", ("street", "house", "substr(birth, 1, 4)")),
    BlockRule("family_home", ("family", "zip", "house")),
    BlockRule("family_zip", ("family", "zip", "substr(given, 1, 1)")),
)


@dataclass(frozen=True)
class Budgeted:
    """One rule of a plan: the pairs that it gives, and the largest block that is compared (0: the rule is left out)."""

    rule: str
    n_pairs: int
    max_block: int
    n_over: int  # pairs that are left out


def blocks(records: DataFrame, *columns: str) -> DataFrame:
    """One row per record and rule: `columns`, rule (its place), block (a hash)."""
    told = [
        F.when(
            F.expr(" AND ".join(f"({key}) IS NOT NULL" for key in rule.keys)),
            F.struct(F.lit(place).alias("rule"), F.xxhash64(F.lit(place), *map(F.expr, rule.keys)).alias("block")),
        )
        for place, rule in enumerate(BLOCK_RULES)
    ]
    return records.select(*columns, F.explode(F.array_compact(F.array(*told))).alias("at")).select(
        *columns, "at.rule", "at.block"
    )


def block_sizes(records: DataFrame) -> DataFrame:
    """(rule, block, n): the blocks of more than one record."""
    return blocks(records).groupBy("rule", "block").agg(F.count("*").alias("n")).where("n > 1")


def pairs_by_size(sizes: DataFrame) -> DataFrame:
    """(rule, bits, max_block, n_pairs): pairs per rule and size of block, in powers of two."""
    return (
        sizes.withColumn("bits", F.floor(F.log2("n")).cast("int"))
        .groupBy("rule", "bits")
        .agg(
            F.max("n").cast("int").alias("max_block"),
            F.sum(F.col("n") * (F.col("n") - 1) / 2).cast("bigint").alias("n_pairs"),
            F.count("*").alias("n_blocks"),
        )
    )


def budgeted(counts: Iterable[Mapping[str, int]], *, budget: int) -> list[Budgeted]:
    """For each rule the largest blocks that its budget of pairs allows; `counts` as of `pairs_by_size`."""
    by_rule: dict[int, list[Mapping[str, int]]] = {place: [] for place in range(len(BLOCK_RULES))}
    for row in counts:
        by_rule[row["rule"]].append(row)
    return [_within(place, rows, budget) for place, rows in by_rule.items()]


def _within(place: int, rows: Sequence[Mapping[str, int]], budget: int) -> Budgeted:
    n_pairs, max_block, n_over, n_stopped = 0, 1, 0, 0
    for row in sorted(rows, key=lambda r: r["bits"]):
        if n_over == 0 and n_pairs + row["n_pairs"] <= budget:
            n_pairs, max_block = n_pairs + row["n_pairs"], row["max_block"]
        else:
            n_over, n_stopped = n_over + row["n_pairs"], n_stopped + row["n_blocks"]
    if n_stopped > MAX_STOPPED:
        return Budgeted(BLOCK_RULES[place].name, 0, 0, n_pairs + n_over)
    return Budgeted(BLOCK_RULES[place].name, n_pairs, max_block, n_over)


def oversize(sizes: DataFrame, plan: Sequence[Budgeted]) -> DataFrame:
    """(block): the blocks that the plan leaves out, of rules that it does not leave out as a whole."""
    limits = F.create_map(*[F.lit(x) for p, b in enumerate(plan) for x in (p, b.max_block)])
    limit = limits[F.col("rule")]
    return sizes.where((limit > 0) & (F.col("n") > limit)).select("block")


def candidates(new: DataFrame, others: DataFrame, *, key: str) -> DataFrame:
    """(<key>_l, <key>_r), left < right: pairs of a new record with any record that share a block, each once.

    Both are rows of `blocks` with the key; of the others no two are paired.
    """
    left = new.select("block", F.col(key).alias("_new"))
    every = left.withColumn("is_new", F.lit(True)).unionByName(
        others.select("block", F.col(key).alias("_new"), F.lit(False).alias("is_new"))
    )
    joined = left.join(every.withColumnRenamed("_new", "_any"), on="block", how="inner")
    once = (F.col("_new") < F.col("_any")) | (~F.col("is_new") & (F.col("_new") != F.col("_any")))
    ends = F.least("_new", "_any").alias(f"{key}_l"), F.greatest("_new", "_any").alias(f"{key}_r")
    return joined.where(once).select(*ends).distinct()
