"""bronze.dicom_object → rows for silver.imaging_study: one examination."""

from __future__ import annotations

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from medlake.clean.imaging_instance import described
from medlake.grammar.quality import Rule, flags

UNDATED = Rule("study_at_missing", "study_at IS NULL", False, "Nobody knows when the study was done.", "completeness")
STRANGERS = Rule(
    "person_conflict", "_conflict", False, "Images of one study or series name several patients.", "contradiction"
)
STUDY_COLUMNS = (
    "study_uid", "person_source_value", "accession", "study_at", "modalities",
    "description", "n_series", "n_instances", "size_bytes", "source", "qc",
)  # fmt: skip


def stage_studies(objects: DataFrame) -> DataFrame:
    """One row per StudyInstanceUID, from rows of bronze.dicom_object.

    Flags: those of the instances, `study_at_missing`, and `person_conflict` where instances name several patients
    (the most frequent wins). Its visit and procedure are looked for later (imaging_link).
    """
    studies = (
        described(objects)
        .groupBy("study_uid")
        .agg(
            *owner(),
            F.min(F.nullif(F.trim("accession"), F.lit(""))).alias("accession"),
            F.min("study_at").alias("study_at"),
            F.array_sort(F.collect_set("modality")).alias("modalities"),
            F.min("study_description").alias("description"),
            F.size(F.collect_set("series_uid")).cast("bigint").alias("n_series"),
            F.count("*").alias("n_instances"),
            F.sum("size_bytes").alias("size_bytes"),
            F.array_distinct(F.flatten(F.collect_set("qc"))).alias("qc"),
        )
    )
    flagged = with_owner(studies).withColumn("qc", F.array_sort(F.array_distinct(flags([UNDATED]))))
    return flagged.select(*STUDY_COLUMNS)


def owner() -> list[Column]:
    """Aggregates that say whose a group of instances is: the most frequent patient, the least on a tie."""
    person = F.struct("source", "person_source_value")
    conflict = F.min(person) != F.max(person)
    return [F.mode(person, deterministic=True).alias("_owner"), conflict.alias("_conflict")]


def with_owner(groups: DataFrame) -> DataFrame:
    """Adds source and person_source_value from `owner`, and the flag `person_conflict` to `qc`."""
    return groups.withColumns(
        {
            "source": F.col("_owner.source"),
            "person_source_value": F.col("_owner.person_source_value"),
            "qc": flags([STRANGERS]),
        }
    ).drop("_owner", "_conflict")
