"""What a DICOMDIR names and what did not come: rows that are set aside until it does."""

from __future__ import annotations

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from medlake.grammar.origin import stands

REFERENCE = (
    "file STRING, sop_instance_uid STRING, sop_class_uid STRING, patient_key STRING, study_uid STRING, "
    "series_uid STRING, modality STRING"
)


def missing_objects(directories: DataFrame, objects: DataFrame, files: DataFrame) -> DataFrame:
    """Objects that the newest DICOMDIR of each place names and that are neither in bronze nor in landing.

    directories, objects, files: rows of bronze.dicom_directory, bronze.dicom_object, bronze.landing_file. An object is
    known by its UID wherever it lies; a file beside a DICOMDIR by its path, in whatever case, for it may be there and
    be broken (then its own entry in quarantine says so). Columns: source, _record (the DICOMDIR's),
    person_source_value, study_uid, series_uid, sop_instance_uid, is_missing; one row per source and object.
    """
    place = ["source", "file", "row"]
    newest = directories.groupBy(*place).agg(F.max(F.struct("batch", "file_sha256")).alias("newest"))
    now = directories.join(newest, on=place, how="inner").where(F.struct("batch", "file_sha256") == F.col("newest"))
    said = now.withColumn("_record", stands()).select(
        "source", "_record", "member", F.col("file").alias("directory"),
        F.explode(F.from_json("references_json", f"ARRAY<STRUCT<{REFERENCE}>>")).alias("named"),
    ).select("source", "_record", "member", "directory", "named.*")  # fmt: skip
    folder = F.regexp_extract("directory", r"^(.*/)?[^/]*$", 1)
    path = F.when(F.col("member").isNull(), F.lower(F.concat(folder, "file")))
    placed = said.withColumn("path", path)
    there = files.select("source", F.lower("file").alias("path")).distinct()
    came = objects.select("sop_instance_uid").distinct()
    lost = placed.join(came, on="sop_instance_uid", how="left_anti").join(there, on=["source", "path"], how="left_anti")
    one = lost.groupBy("source", "sop_instance_uid", F.lower("file").alias("path")).agg(
        F.min(F.struct("_record", "patient_key", "study_uid", "series_uid")).alias("said")
    )
    return one.select(
        "source", "said._record", F.trim("said.patient_key").alias("person_source_value"), "said.study_uid",
        "said.series_uid", "sop_instance_uid", F.lit(True).alias("is_missing"),
    )  # fmt: skip
