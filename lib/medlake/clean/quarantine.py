"""Rows that were set aside → quarantine.record: whole, with where they stand and why."""

from __future__ import annotations

from collections.abc import Mapping
from functools import reduce

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from medlake.grammar.contract import Promise

OPEN, CLOSED = "open", "closed"
RAW = {  # bronze table → what holds the record as it was received
    "csv_record": "to_json(record)", "fhir_resource": "json", "hl7_message": "raw", "note_document": "text",
    "dicom_object": "header_json", "dicom_directory": "references_json",
    "raster_image": "to_json(struct(format, width, height, mode, bit_depth, patient_hint, content_sha256))",
}  # fmt: skip


def received(bronze: Mapping[str, DataFrame]) -> DataFrame:
    """(source, file_sha256, row, raw): every record of the bronze tables (by name) as it was received."""
    stands = ("source", "file_sha256", "row")
    parts = [records.select(*stands, F.expr(RAW[name]).alias("raw")) for name, records in bronze.items()]
    return reduce(DataFrame.unionByName, parts)


def from_build(
    aside: DataFrame, bronze: DataFrame, known: DataFrame, to: Promise, *, batch: int
) -> DataFrame:
    """quarantine.record for rows that a silver table refused; the bronze record is their `raw`.

    A row made of several records has no single origin: what was mapped is its `raw`. A record that was here
    before keeps the night it was first seen in (`known`: the quarantine as it is).
    """
    flat = aside.select(
        "source", "target", "reason_codes", "mapped_row", "_record.source_table", "_record.file",
        "_record.file_sha256", "_record.row",
    )  # fmt: skip
    joined = flat.join(bronze, on=["source", "file_sha256", "row"], how="left")
    rows = joined.select(
        "source", F.coalesce("source_table", F.lit("")).alias("source_table"), "target", "file", "file_sha256", "row",
        "reason_codes", F.lit("Broke rules of its table: see reason_codes.").alias("detail"),
        F.coalesce("raw", "mapped_row").alias("raw"), "mapped_row",
    )  # fmt: skip
    told = rows.withColumns({"batch": F.lit(batch), "retry_of": F.lit(None).cast("string")})
    return _finished(told, F.col("mapped_row"), known, to)


def from_reading(refused: DataFrame, target: str, known: DataFrame, to: Promise) -> DataFrame:
    """quarantine.record for records that could not be read into `target` (a bronze table).

    Where an earlier content of the same file held the very same fault, `retry_of` names that entry.
    """
    rows = refused.select(
        "source", "source_table", F.lit(target).alias("target"), "file", "file_sha256", "row",
        F.array("reason_code").alias("reason_codes"), "detail", F.coalesce("raw", F.lit("")).alias("raw"),
        F.lit(None).cast("string").alias("mapped_row"), "batch",
    )  # fmt: skip
    same = ["source", "target", "file", "reason_codes", "raw"]
    before = known.select(*same, F.col("file_sha256").alias("older"), F.col("record_id").alias("earlier"))
    told = rows.join(before, on=same, how="left").groupBy(*rows.columns).agg(
        F.min(F.when(F.col("older") != F.col("file_sha256"), F.col("earlier"))).alias("retry_of")
    )  # fmt: skip
    return _finished(told, F.lit(""), known, to)


def sent_again(known: DataFrame, files: DataFrame, target: str) -> DataFrame:
    """The open entries of `target` whose file has come under the same name with another content (`files`)."""
    newer = files.select("source", "file", F.col("file_sha256").alias("newer"))
    mine = known.where((F.col("target") == target) & (F.col("status") == OPEN))
    met = mine.join(newer, on=["source", "file"], how="inner").where(F.col("newer") != F.col("file_sha256"))
    return met.select(*known.columns).distinct()


def closing(entries: DataFrame, *, by: str) -> DataFrame:
    """The entries as closed ones: nothing leaves the quarantine, its history stays."""
    return entries.withColumns(
        {"status": F.lit(CLOSED), "closed_at": F.current_timestamp(), "closed_by": F.lit(by)}
    ).select(*entries.columns)


def _finished(rows: DataFrame, told: Column, known: DataFrame, to: Promise) -> DataFrame:
    where = F.struct("source", "target", "file_sha256", "row", "reason_codes", told.alias("told"))
    named = rows.withColumn("record_id", F.sha2(F.to_json(where), 256)).distinct()
    before = known.select(
        "record_id", F.col("batch").alias("seen_batch"), F.col("first_seen_at").alias("seen_at")
    )
    joined = named.join(before, on="record_id", how="left")
    return joined.withColumns(
        {
            "reason_code": F.col("reason_codes")[0],
            "batch": F.coalesce("seen_batch", "batch"),
            "first_seen_at": F.coalesce("seen_at", F.current_timestamp()),
            "status": F.lit(OPEN),
            "closed_at": F.lit(None).cast("timestamp"),
            "closed_by": F.lit(None).cast("string"),
        }
    ).select(*to.columns)
