"""Codes of the lake → OMOP concepts, by the vocabulary files of OHDSI's Athena.

Athena gives tab-separated files with a header and without quoting. Without them every code maps to nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import reduce

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

# Athena's files and the columns needed of them.
FILES = {
    "CONCEPT.csv": ("concept_id", "concept_code", "vocabulary_id", "domain_id", "standard_concept", "invalid_reason"),
    "CONCEPT_RELATIONSHIP.csv": ("concept_id_1", "concept_id_2", "relationship_id", "invalid_reason"),
}
UNITS = "UCUM"  # the vocabulary in which a unit is looked up
TARGETS = "array<struct<domain:string,concept_id:int,vocabulary:string>>"


def codes_of(rows: DataFrame, code: str, vocabulary: str | None, label: str | None) -> DataFrame:
    """(vocabulary, code, label) of every code in a table; `vocabulary` None: its values are units."""
    said = F.lit(UNITS) if vocabulary is None else F.col(vocabulary)
    name = F.lit(None).cast("string") if label is None else F.col(label)
    return rows.where(F.col(code).isNotNull()).select(
        said.alias("vocabulary"), F.col(code).alias("code"), name.alias("label")
    )


def code_map(codes: Sequence[DataFrame], concept: DataFrame, relationship: DataFrame) -> DataFrame:
    """One row per (vocabulary, code): label, source_concept_id and the valid standard concepts it maps to.

    `concept` and `relationship` hold the columns of FILES as text. `source_concept_id` is null where Athena does not
    know the code. `targets` is sorted by domain and concept_id and empty where nothing is known. Of several concepts
    with one code the valid one with the lowest id counts; of several labels the first by alphabet.
    """
    distinct = reduce(DataFrame.unionByName, codes).groupBy("vocabulary", "code").agg(F.min("label").alias("label"))
    ids = concept.select(
        F.col("vocabulary_id").alias("vocabulary"), F.col("concept_code").alias("code"),
        F.struct(
            (~_valid()).alias("is_invalid"), F.col("concept_id").try_cast("int").alias("concept_id")
        ).alias("found"),
    )  # fmt: skip
    known = (
        distinct.join(ids, on=["vocabulary", "code"], how="inner")
        .groupBy("vocabulary", "code")
        .agg(F.min("found")["concept_id"].alias("source_concept_id"))
    )
    standard = concept.where((F.col("standard_concept") == "S") & _valid()).select(
        F.col("concept_id").try_cast("int").alias("target"), F.col("domain_id").alias("domain"),
        F.col("vocabulary_id").alias("target_vocabulary"),
    )  # fmt: skip
    maps = relationship.where((F.col("relationship_id") == "Maps to") & _valid()).select(
        F.col("concept_id_1").try_cast("int").alias("source_concept_id"),
        F.col("concept_id_2").try_cast("int").alias("target"),
    )
    itself = known.select("source_concept_id", F.col("source_concept_id").alias("target"))
    as_target = F.struct("domain", F.col("target").alias("concept_id"), F.col("target_vocabulary").alias("vocabulary"))
    targets = (
        maps.join(known.select("source_concept_id").distinct(), on="source_concept_id", how="left_semi")
        .unionByName(itself)
        .join(standard, on="target", how="inner")
        .groupBy("source_concept_id")
        .agg(F.array_sort(F.collect_set(as_target)).alias("targets"))
    )
    return (
        distinct.join(known, on=["vocabulary", "code"], how="left")
        .join(targets, on="source_concept_id", how="left")
        .select(
            "vocabulary", "code", "label", "source_concept_id",
            F.coalesce("targets", F.array().cast(TARGETS)).alias("targets"),
        )
    )  # fmt: skip


def target_in(domain: str | None, targets: Column) -> Column:
    """The lowest standard concept of a domain (None: of any); null where there is none.

    A target of another domain does not fit the table's concept column, so it is not taken.
    """
    fit = targets if domain is None else F.filter(targets, lambda t: t["domain"] == domain)
    return F.array_min(F.transform(fit, lambda t: t["concept_id"]))


def with_concepts(rows: DataFrame, mapping: DataFrame, *, code: str, vocabulary: str, domain: str | None) -> DataFrame:
    """Adds mapped_concept_id (standard, of the domain) and mapped_source_concept_id; null where unknown."""
    of_code = mapping.select(
        F.col("code").alias(code), F.col("vocabulary").alias(vocabulary),
        target_in(domain, F.col("targets")).alias("mapped_concept_id"),
        F.col("source_concept_id").alias("mapped_source_concept_id"),
    )  # fmt: skip
    return rows.join(of_code, on=[code, vocabulary], how="left")


def with_units(rows: DataFrame, mapping: DataFrame, *, unit: str) -> DataFrame:
    """Adds mapped_unit_concept_id: 0 for a unit that is no known UCUM code, null where none is given."""
    concept = F.coalesce(target_in("Unit", F.col("targets")), F.lit(0))
    of_unit = mapping.where(F.col("vocabulary") == UNITS).select(
        F.col("code").alias(unit), concept.alias("mapped_unit_concept_id")
    )
    return rows.join(of_unit, on=unit, how="left")


def as_source_map(mapping: DataFrame) -> DataFrame:
    """Rows for SOURCE_TO_CONCEPT_MAP: one per code and target; a code without target has target 0 in 'None'.

    This is where a code that maps to nothing keeps its vocabulary: OMOP's event tables have no column for it.
    """
    nothing = F.array(F.struct(F.lit(None).cast("string"), F.lit(0), F.lit("None"))).cast(TARGETS)
    some = F.when(F.size("targets") > 0, F.col("targets")).otherwise(nothing)
    return mapping.withColumn("target", F.explode(some)).select(
        F.col("code").alias("source_code"), F.coalesce("source_concept_id", F.lit(0)).alias("source_concept_id"),
        F.col("vocabulary").alias("source_vocabulary_id"), F.col("label").alias("source_code_description"),
        F.col("target.concept_id").alias("target_concept_id"), F.col("target.vocabulary").alias("target_vocabulary_id"),
    )  # fmt: skip


def _valid() -> Column:
    return F.coalesce(F.col("invalid_reason"), F.lit("")) == ""


def one_of(number: Column, words: Mapping[int, str], *, other: str = "unknown") -> Column:
    """The word for each number, and `other` for the rest and for null."""
    chosen = F.lit(other)
    for known, word in words.items():
        chosen = F.when(number == known, F.lit(word)).otherwise(chosen)
    return chosen
