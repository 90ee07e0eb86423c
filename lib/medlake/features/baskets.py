"""A patient's conditions and drugs as a set of items `VOCABULARY//code`."""

from __future__ import annotations

from functools import reduce

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

FEMALE, MALE = 8532, 8507  # OMOP gender concepts
AGE_BANDS = ((0, 18), (18, 40), (40, 65), (65, 200))  # years; the last one has no upper end


def item(kind: str) -> Column:
    """The item of a silver event row of `kind` (condition, drug …); an unnamed vocabulary is the source's."""
    vocabulary = F.coalesce(F.col(f"{kind}_source_vocabulary"), F.col("source"))
    return F.concat(vocabulary, F.lit("//"), F.col(f"{kind}_source_value"))


def events(condition: DataFrame, drug: DataFrame) -> DataFrame:
    """person_id, visit_occurrence_id, on (date), kind (condition, drug), item, name of every event with a code.

    on, visit_occurrence_id and name are null where the record does not say.
    """
    told = [
        table.select(
            "person_id",
            "visit_occurrence_id",
            F.col(start).alias("on"),
            F.lit(kind).alias("kind"),
            item(kind).alias("item"),
            F.col(f"{kind}_source_name").alias("name"),
        )
        for kind, start, table in (
            ("condition", "condition_start_date", condition),
            ("drug", "drug_exposure_start_date", drug),
        )
    ]
    return reduce(DataFrame.unionByName, told).where(F.col("item").isNotNull())


def named_items(condition: DataFrame, drug: DataFrame) -> DataFrame:
    """person_id, item, name (null: no name given) of every condition and drug event."""
    told = [
        table.select("person_id", item(kind).alias("item"), F.col(f"{kind}_source_name").alias("name"))
        for kind, table in (("condition", condition), ("drug", drug))
    ]
    return reduce(DataFrame.unionByName, told).where(F.col("item").isNotNull())


def baskets_of(told: DataFrame, *keys: str) -> DataFrame:
    """One row per value of `keys`: the keys, and items, distinct and sorted. Events without a key are left out."""
    known = told.where(reduce(lambda a, b: a & b, [F.col(key).isNotNull() for key in keys]))
    return known.groupBy(*keys).agg(F.array_sort(F.collect_set("item")).alias("items"))


def in_windows(told: DataFrame, *, days: int) -> DataFrame:
    """Adds window: 0 for the `days` days from a person's first dated event on, 1 for the next …; null: no date."""
    first = F.min("on").over(Window.partitionBy("person_id"))
    return told.withColumn("window", F.floor(F.datediff("on", first) / F.lit(days)).cast("int"))


def baskets(condition: DataFrame, drug: DataFrame) -> DataFrame:
    """gold.basket: one row per patient with a condition or a drug; items distinct and sorted."""
    return baskets_of(named_items(condition, drug), "person_id")


def strata(person: DataFrame, told: DataFrame) -> DataFrame:
    """person_id, sex (female, male), age_band (at the last event) of every patient; null: not known."""
    last = told.groupBy("person_id").agg(F.year(F.max("on")).alias("last_year"))
    years = F.col("last_year") - F.col("year_of_birth")
    band = F.lit(f"{AGE_BANDS[-1][0]}+")
    for low, high in reversed(AGE_BANDS[:-1]):
        band = F.when(years < high, f"{low}–{high - 1}").otherwise(band)
    return person.join(last, on="person_id", how="left").select(
        "person_id",
        F.when(F.col("gender_concept_id") == FEMALE, "female")
        .when(F.col("gender_concept_id") == MALE, "male")
        .alias("sex"),
        F.when(years.isNotNull(), band).alias("age_band"),
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
