"""A patient's conditions and drugs as a set of items `VOCABULARY//code`."""

from __future__ import annotations

from functools import reduce

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F


def item(kind: str) -> Column:
    """The item of a silver event row of `kind` (condition, drug …); an unnamed vocabulary is the source's."""
    vocabulary = F.coalesce(F.col(f"{kind}_source_vocabulary"), F.col("source"))
    return F.concat(vocabulary, F.lit("//"), F.col(f"{kind}_source_value"))


def named_items(condition: DataFrame, drug: DataFrame) -> DataFrame:
    """person_id, item, name (null: no name given) of every condition and drug event."""
    events = [
        table.select("person_id", item(kind).alias("item"), F.col(f"{kind}_source_name").alias("name"))
        for kind, table in (("condition", condition), ("drug", drug))
    ]
    return reduce(DataFrame.unionByName, events).where(F.col("item").isNotNull())


def baskets(condition: DataFrame, drug: DataFrame) -> DataFrame:
    """gold.basket: one row per patient with a condition or a drug; items distinct and sorted."""
    return (
        named_items(condition, drug)
        .groupBy("person_id")
        .agg(F.array_sort(F.collect_set("item")).alias("items"))
    )


def item_names(condition: DataFrame, drug: DataFrame) -> DataFrame:
    """ref.item_name: each item's most frequent name (ties: the first one), or itself where none is given."""
    most_frequent = Window.partitionBy("item").orderBy(F.col("name").isNull(), F.desc("n"), "name")
    return (
        named_items(condition, drug)
        .groupBy("item", "name")
        .agg(F.count(F.lit(1)).alias("n"))
        .withColumn("rank", F.row_number().over(most_frequent))
        .where(F.col("rank") == 1)
        .select("item", F.coalesce("name", "item").alias("name"))
    )
