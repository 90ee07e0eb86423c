"""bronze → the views that a mapping's SQL reads: the current records of one source, nothing else.

The newest record of a key wins (later night, later file name, later line; FHIR: later lastUpdated and
version first) and deleted ones are gone. `_record` says where each row stands, for quarantine.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from medlake.grammar.origin import stands
from medlake.sources.declared import Source


def table_view(bronze: DataFrame, source: Source, table: str, columns: Sequence[str]) -> DataFrame:
    """The current records of one table of a CSV-like source: its columns as text, and `_record`."""
    records = bronze.where((F.col("source") == source.name) & (F.col("source_table") == table))
    key = next(t.key for t in source.tables if t.name == table)
    if key:
        records = keep_newest(
            records.withColumn("key", F.array(*[F.col("record")[k] for k in key])),
            partition=["key"], order=_seen(),
        ).drop("key")  # fmt: skip
    else:
        records = records.where(~F.col("is_deletion"))
    return records.select(*[F.col("record")[c].alias(c) for c in columns], stands())


def fhir_views(bronze: DataFrame, source: Source, shapes: Mapping[str, str]) -> dict[str, DataFrame]:
    """One view per resource type: the current resources, typed by the shape (a DDL; leaves are text)."""
    current = newest_resources(bronze.where(F.col("source") == source.name))
    return {kind: _typed(current.where(F.col("resource_type") == kind), ddl) for kind, ddl in shapes.items()}


def newest_resources(bronze: DataFrame) -> DataFrame:
    """The rows of bronze.fhir_resource that hold now: per source and id the newest version, unless deleted."""
    return keep_newest(
        bronze.withColumn("is_deletion", F.col("is_deleted")),
        partition=["source", "resource_type", "resource_id"],
        order=[F.col("last_updated"), F.try_to_number("version_id", F.lit("9999999999")), *_seen()],
        at=F.col("last_updated"),
    )


def note_view(bronze: DataFrame, source: Source) -> DataFrame:
    """The source's text files: text, and what their names say. A file re-sent under its name replaces it."""
    records = keep_newest(
        bronze.where(F.col("source") == source.name).withColumn("is_deletion", F.lit(False)),
        partition=["file"], order=[F.col("batch"), F.col("file_sha256")],
    )  # fmt: skip
    said = ("person_source_value", "visit_source_value", "note_date", "note_title")
    return records.select(
        *[F.col("record")[name].alias(name) for name in said],
        F.col("text").alias("note_text"), F.lit("note").alias("note_class_source_value"), stands(),
    )  # fmt: skip


def keep_newest(
    records: DataFrame, *, partition: list[str], order: list[Column], at: Column | None = None
) -> DataFrame:
    """The last record of each partition in `order` (nulls first); none where a deletion came with or after it.

    `order` must end in columns that make it total. `at`: the source's own time of a record or deletion; where both
    have one it says which was later (a history may delete and bring back), else the batch does.
    """
    by_key, own = Window.partitionBy(*partition), F.lit(None).cast("timestamp") if at is None else at
    deletion = F.col("is_deletion")
    told = records.withColumns(
        {
            "deleted_in": F.max(F.when(deletion, F.col("batch"))).over(by_key),
            "undated_in": F.max(F.when(deletion & own.isNull(), F.col("batch"))).over(by_key),
            "deleted_at": F.max(F.when(deletion, own)).over(by_key),
        }
    ).where(~deletion)
    is_gone = F.coalesce(F.col("undated_in") >= F.col("batch"), F.lit(False)) | F.coalesce(
        F.when(own.isNull(), F.col("deleted_in") >= F.col("batch")).otherwise(F.col("deleted_at") >= own), F.lit(False)
    )
    newest_first = by_key.orderBy(*[o.desc_nulls_last() for o in order])
    return (
        told.withColumn("place", F.row_number().over(newest_first))
        .where((F.col("place") == 1) & ~is_gone)
        .drop("place", "deleted_in", "undated_in", "deleted_at")
    )


def _seen() -> list[Column]:
    return [F.col("batch"), F.col("file"), F.col("row")]


def _typed(resources: DataFrame, ddl: str) -> DataFrame:
    """`inline` is a generator: the text is parsed once a row, not once for every field that the SQL names."""
    shaped = F.from_json("json", ddl, {"mode": "PERMISSIVE"})
    return resources.select(stands(), F.inline(F.array(shaped)))
