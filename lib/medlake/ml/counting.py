"""The passes over baskets: pack, count items, mine blocks, count candidates. They run Spark jobs.

The driver sees numbers, the names of frequent items and the candidates that one block alone could not decide
upon; all three are bounded by `max_candidates`, and more of them is an error that says what to do.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from pyspark import Broadcast, StorageLevel
from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql import types as T

from medlake.grammar.errors import ConfigError
from medlake.ml import basket_blocks as through

LEAST_PER_BLOCK = 32  # baskets that an itemset must at least have in its block: fewer, and chance finds many
BLOCK_ENTRIES = 1 << 24  # items of baskets in one block: 64 MB, and as much again for each of two indices
LISTS = (T.ArrayType(T.StringType(), True), T.ArrayType(T.StringType(), False))


@dataclass(frozen=True)
class Packed:
    """Baskets in Arrow's hands, kept until the `with` ends."""

    rows: DataFrame  # PACKED
    n_baskets: int
    n_entries: int


@dataclass(frozen=True)
class Dictionary:
    """Frequent items, numbered from the rarest (0); ties by name. counts: item, freq, from Spark."""

    names: Sequence[str]
    counts: DataFrame


@dataclass(frozen=True)
class Limits:
    """What may be found. least: baskets per itemset; 0 means no limit for max_length and max_items."""

    least: int
    max_length: int
    max_items: int
    max_candidates: int


def baskets_of(dataset: DataFrame, column: str) -> DataFrame:
    """The column of baskets alone.

    Raises:
        ConfigError: there is no such column, or it is no array<string>.
    """
    kinds = {f.name: f.dataType for f in dataset.schema.fields}
    if kinds.get(column) not in LISTS:
        have = kinds[column].simpleString() if column in kinds else "absent"
        raise ConfigError(f"The baskets must be a column of array<string>; {column} is {have}")
    return dataset.select(F.col(column).alias("items"))


@contextmanager
def packed(baskets: DataFrame) -> Iterator[Packed]:
    """The baskets, read once. A null basket counts as an empty one; a null item is no item."""
    filled = baskets.select(F.coalesce("items", F.array().cast("array<string>")).alias("items"))
    rows = filled.mapInArrow(through.pack, through.PACKED).persist(StorageLevel.MEMORY_AND_DISK)
    try:
        entries = (F.octet_length("codes") / 4).cast("bigint")
        sums = rows.agg(F.sum("n_baskets").alias("n"), F.sum(entries).alias("n_entries")).first()
        yield Packed(rows, int(sums["n"] or 0) if sums else 0, int(sums["n_entries"] or 0) if sums else 0)
    finally:
        rows.unpersist()


def dictionary(of: Packed, *, least: int, max_candidates: int, only: DataFrame | None = None) -> Dictionary:
    """The items that at least `least` baskets hold (and that are among `only`: item).

    Raises:
        ConfigError: there are more than `max_candidates`.
    """
    counts = (
        of.rows.mapInArrow(through.item_counts, through.ITEMS)
        .groupBy("item")
        .agg(F.sum("freq").alias("freq"))
        .where(F.col("freq") >= least)
    )
    if only is not None:
        counts = counts.join(only, on="item", how="left_semi")
    counts = counts.limit(max_candidates + 1).localCheckpoint()
    names = counts.orderBy("freq", "item").select("item").toArrow().column("item").to_pylist()
    _bounded(len(names), max_candidates, "frequent items")
    return Dictionary(names, counts)


def found(of: Packed, limits: Limits) -> DataFrame:
    """items, freq: every itemset of at least `limits.least` baskets, by two passes over blocks.

    Raises:
        ConfigError: there are more candidates than `limits.max_candidates`.
    """
    known = dictionary(of, least=limits.least, max_candidates=limits.max_candidates)
    singles = known.counts.select(F.array("item").alias("items"), "freq")
    if limits.max_length == 1 or len(known.names) < 2:
        return singles.localCheckpoint()
    spark = of.rows.sparkSession
    names = spark.sparkContext.broadcast(list(known.names))
    try:
        with _in_blocks(of, names, _n_blocks(of, limits.least)) as blocks:
            longer = _found_in(blocks, len(known.names), limits)
            decoded = longer.mapInArrow(through.decode(lambda: names.value), through.ITEMSETS)
            return singles.unionByName(decoded).localCheckpoint()
    finally:
        names.destroy()


def _n_blocks(of: Packed, least: int) -> int:
    """As many blocks as there are cores, unless blocks would be too small to mine, or too big to hold."""
    cores = of.rows.sparkSession.sparkContext.defaultParallelism
    return max(1, min(cores, least // LEAST_PER_BLOCK), -(-of.n_entries // BLOCK_ENTRIES))


@contextmanager
def _in_blocks(of: Packed, names: Broadcast[list[str]], n_blocks: int) -> Iterator[DataFrame]:
    encode = through.encode(lambda: {name: at for at, name in enumerate(names.value)}, n_blocks)
    blocks = of.rows.mapInArrow(encode, through.BLOCKS)
    blocks = blocks.repartitionById(n_blocks, "block").persist(StorageLevel.MEMORY_AND_DISK)
    try:
        yield blocks
    finally:
        blocks.unpersist()


def _found_in(blocks: DataFrame, n_items: int, limits: Limits) -> DataFrame:
    """COUNTED: the itemsets of two items and more."""
    held = blocks.agg(F.sum("n_baskets").alias("n")).first()
    n_baskets = int(held["n"] or 0) if held else 0
    mine = through.mine(
        n_items=n_items, least=limits.least, n_baskets=max(n_baskets, 1), max_length=limits.max_length,
        max_items=limits.max_items, max_found=limits.max_candidates,
    )  # fmt: skip
    local = blocks.mapInArrow(mine, through.KEYS).localCheckpoint()
    decided, undecided = _decided(local, limits)
    n = undecided.count()
    overflow = local.where(F.col("key").isNull()).agg(F.max("n").alias("n")).first()
    _bounded(max(n, int(overflow["n"] or 0) if overflow else 0), limits.max_candidates, "candidate itemsets")
    if not n:
        return decided
    counted = _counted(blocks, undecided.select("key"), n_items).where(F.col("freq") >= limits.least)
    return decided.unionByName(counted)


def _decided(local: DataFrame, limits: Limits) -> tuple[DataFrame, DataFrame]:
    """(itemsets that every block told of, hence counted; those that may still be frequent), from KEYS."""
    is_block = F.octet_length("key") == 0
    blocks = local.where(is_block).agg(F.count(F.lit(1)).alias("n_blocks"), F.sum("missed").alias("all"))
    candidates = (
        local.where(~is_block)
        .groupBy("key")
        .agg(F.sum("n").alias("freq"), F.sum("missed").alias("told"), F.count(F.lit(1)).alias("n_told"))
        .crossJoin(F.broadcast(blocks))
    ).localCheckpoint()
    # Counts of baskets that were cut to their rarest items are lower bounds: all of those are counted again.
    is_whole = (F.col("n_told") == F.col("n_blocks")) & F.lit(limits.max_items == 0)
    can_reach = F.col("freq") + F.col("all") - F.col("told") >= limits.least
    decided = candidates.where(is_whole & (F.col("freq") >= limits.least)).select("key", "freq")
    return decided, candidates.where(~is_whole & (can_reach | F.lit(limits.max_items > 0)))


def _counted(blocks: DataFrame, keys: DataFrame, n_items: int) -> DataFrame:
    """COUNTED: the exact counts of the itemsets `key` over all blocks; those of no basket are left out."""
    spark = blocks.sparkSession
    wanted = spark.sparkContext.broadcast(through.by_size(keys.toArrow().column("key").combine_chunks()))
    try:
        told = blocks.mapInArrow(through.count(lambda: wanted.value, n_items), through.COUNTED)
        return told.groupBy("key").agg(F.sum("freq").alias("freq")).localCheckpoint()
    finally:
        wanted.destroy()


def counts_of(of: Packed, wanted: DataFrame, *, max_candidates: int) -> DataFrame:
    """items, freq: how many baskets hold each of the itemsets `items` (sorted); those of none are left out.

    Raises:
        ConfigError: more than `max_candidates` are asked for.
    """
    asked = wanted.select("items").distinct().limit(max_candidates + 1).localCheckpoint()
    _bounded(asked.count(), max_candidates, "itemsets to count")
    only = asked.select(F.explode("items").alias("item")).distinct()
    known = dictionary(of, least=1, max_candidates=max_candidates, only=only)
    singles = known.counts.select(F.array("item").alias("items"), "freq")
    spark = of.rows.sparkSession
    names = spark.sparkContext.broadcast(list(known.names))
    number = spark.createDataFrame(
        [(name, at) for at, name in enumerate(known.names)], "item string, at int"
    )
    keys = (
        asked.where(F.size("items") > 1)
        .select("items", F.explode("items").alias("item"))
        .join(F.broadcast(number), on="item", how="inner")
        .groupBy("items")
        .agg(F.array_sort(F.collect_list("at")).alias("codes"))
        .where(F.size("codes") == F.size("items"))
        .select("codes")
        .mapInArrow(through.as_keys, "key binary")
    )
    try:
        with _in_blocks(of, names, _n_blocks(of, of.n_baskets)) as blocks:
            longer = _counted(blocks, keys, len(known.names))
            decoded = longer.mapInArrow(through.decode(lambda: names.value), through.ITEMSETS)
            return (
                singles.unionByName(decoded)
                .join(asked, on="items", how="left_semi")
                .localCheckpoint()
            )
    finally:
        names.destroy()


def _bounded(n: int, most: int, what: str) -> None:
    if n > most:
        raise ConfigError(
            f"More than {most:,} {what}: raise minSupport, lower maxLength, cap long baskets with maxItems, "
            "or allow more with maxCandidates (each takes some 100 bytes on the driver and on each worker)"
        )
