"""The registry of keys: one row per source key for ever, and the person it belongs to.

A key's own id never changes. Keys that are one person take the id of the key registered first (on a tie the
least id): when two known people turn out to be one, the survivor keeps its id and none is reused.
"""

from __future__ import annotations

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

KEY = ("source", "person_source_value")


def registered(known: DataFrame, hashed: DataFrame, *, batch: int) -> DataFrame:
    """vault.id_vault with every present key (person_id still the key's own).

    `hashed`: the present keys with source_key_hash, own_person_id and event_key. Keys that are in `known` keep
    the night they were registered in; keys that left their source stay, not current.
    """
    before = known.select(*KEY, "registered_batch")
    gone = known.join(hashed.select(*KEY), on=list(KEY), how="left_anti").withColumn(
        "is_current", F.lit(False)
    )
    here = (
        hashed.join(before, on=list(KEY), how="left")
        .withColumn("registered_batch", F.coalesce("registered_batch", F.lit(batch)))
        .withColumn("is_current", F.lit(True))
    )
    columns = [c for c in known.columns if c != "person_id"]
    return (
        here.select(*columns)
        .unionByName(gone.select(*columns))
        .withColumn("person_id", F.col("own_person_id"))
    )


def standing_pairs(old: DataFrame, fresh: DataFrame, present: DataFrame) -> DataFrame:
    """Tonight's pairs, and the old ones of which an end has left its source: a survivor's id outlives it."""
    left = present.select(
        F.col("source").alias("left_source"), F.col("person_source_value").alias("left_key")
    )
    right = present.select(
        F.col("source").alias("right_source"), F.col("person_source_value").alias("right_key")
    )
    both = old.join(left, on=["left_source", "left_key"], how="inner")
    both = both.join(right, on=["right_source", "right_key"], how="inner")
    ends = ["left_source", "left_key", "right_source", "right_key"]
    return fresh.unionByName(old.join(both.select(*ends), on=ends, how="left_anti"))


def edges_of(keys: DataFrame, pairs: DataFrame) -> DataFrame:
    """(a, b): the linked keys by own id, each pair in both directions."""
    nodes = keys.select(*KEY, "own_person_id")
    left = nodes.toDF("left_source", "left_key", "a")
    right = nodes.toDF("right_source", "right_key", "b")
    ends = pairs.join(left, on=["left_source", "left_key"], how="inner")
    both = ends.join(right, on=["right_source", "right_key"], how="inner").select("a", "b")
    return both.unionByName(both.select(F.col("b").alias("a"), F.col("a").alias("b")))


def first_labels(keys: DataFrame, edges: DataFrame) -> DataFrame:
    """(node, label): every linked key labelled with its own night of registration and id."""
    label = F.struct("registered_batch", "own_person_id").alias("label")
    linked = edges.select(F.col("a").alias("own_person_id")).distinct()
    return keys.join(linked, on="own_person_id", how="inner").select(
        F.col("own_person_id").alias("node"), label
    )


def propagated(labels: DataFrame, edges: DataFrame) -> DataFrame:
    """One round: each node takes the least label among its own and its neighbours', then that node's own.

    After n rounds chains of 2^n keys agree; repeated until nothing changes, every component does.
    """
    told = edges.join(labels, on=F.col("a") == F.col("node"), how="inner")
    heard = told.select(F.col("b").alias("node"), "label")
    return labels.unionByName(heard).groupBy("node").agg(F.min("label").alias("label"))


def jumped(labels: DataFrame) -> DataFrame:
    """Each node takes the label of the node that its own label names."""
    ahead = labels.select(F.col("node").alias("target"), F.col("label").alias("further"))
    joined = labels.join(ahead, on=F.col("label.own_person_id") == F.col("target"), how="left")
    return joined.select("node", F.least("label", F.coalesce("further", "label")).alias("label"))


def resolved(keys: DataFrame, labels: DataFrame) -> DataFrame:
    """The keys with the person that their label names; unlinked keys keep their own."""
    found = labels.select(
        F.col("node").alias("own_person_id"), F.col("label.own_person_id").alias("survivor")
    )
    joined = keys.join(found, on="own_person_id", how="left")
    return joined.withColumn("person_id", F.coalesce("survivor", "own_person_id")).select(*keys.columns)
