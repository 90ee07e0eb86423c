"""bronze.dicom_object → rows for silver.image_occurrence: one imaging series (OMOP imaging extension)."""

from __future__ import annotations

from functools import reduce

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from medlake.clean.imaging_instance import described
from medlake.clean.imaging_study import owner, with_owner
from medlake.clean.series_geometry import geometry_inputs, geometry_steps

# The least of the values given by the instances: the same whatever their order, and never null by chance.
ATTRIBUTES = (
    "series_at", "modality", "body_part", "laterality", "manufacturer", "model", "series_description",
    "protocol", "sop_class_uid", "transfer_syntax_uid", "photometric_interpretation", "kvp",
    "slice_thickness_mm", "pixel_spacing_mm",
)  # fmt: skip
SERIES_COLUMNS = (
    "series_uid", "study_uid", "person_source_value", "series_at", "modality",
    "body_part", "laterality", "manufacturer", "model", "description", "protocol", "sop_class_uid",
    "transfer_syntax_uid", "photometric_interpretation", "n_instances", "n_frames", "size_bytes", "kvp",
    "slice_thickness_mm", "pixel_spacing_mm", "slice_spacing_mm", "is_regular_volume", "source", "qc",
)  # fmt: skip


def stage_series(objects: DataFrame) -> DataFrame:
    """One row per SeriesInstanceUID, from rows of bronze.dicom_object.

    Where the instances disagree an attribute is the least of their values. Flags: those of the instances, of
    `geometry_steps`, and `person_conflict` where instances name several patients (the most frequent wins).
    """
    instances = described(objects).withColumn("_series_at", F.coalesce("series_at", "study_at"))
    series = (
        instances.withColumn("series_at", F.col("_series_at"))
        .groupBy("series_uid")
        .agg(
            *owner(),
            F.min("study_uid").alias("study_uid"),
            *[F.min(name).alias(name) for name in ATTRIBUTES],
            F.count("*").alias("n_instances"),
            F.sum("n_frames").alias("n_frames"),
            F.sum("size_bytes").alias("size_bytes"),
            F.array_distinct(F.flatten(F.collect_set("qc"))).alias("qc"),
            *geometry_inputs(),
        )
    )
    placed = reduce(lambda rows, step: rows.withColumns(step), geometry_steps(), with_owner(series))
    flagged = placed.withColumns(
        {
            "qc": F.array_sort(F.array_distinct(F.concat("qc", "geometry_qc"))),
            "description": F.col("series_description"),
        }
    )
    return flagged.select(*SERIES_COLUMNS)
