"""Small tables about one night's work, for the page: what came in, was set aside, changed; how long it took.

Every function gives a table of bounded size. Counts are of records, rows, files and bytes.
"""

from __future__ import annotations

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

MAX_SOURCES, MAX_SET_ASIDE, MAX_TABLES, MAX_REFUSALS, MAX_VERSIONS = 50, 60, 40, 50, 200
LAST = ("started_at", "seconds", "status", "rows_in", "rows_changed")
BAND, HIGHEST = 10, 50  # bits: of one band of match weights, and from where on there is but one
VERSIONS = "map<string,bigint>"  # ops.run.tables_written, JSON
CHANGES = "map<string,struct<inserted:bigint,updated:bigint,deleted:bigint>>"  # ops.run.changes, JSON


def intake(batch_manifest: DataFrame, night: int) -> DataFrame:
    """What each source brought in one night: source, n_files, n_bytes, rows_in, rows_kept, rows_merged,
    rows_quarantined; the 50 sources with most records.
    """
    sums = ("n_files", "n_bytes", "rows_in", "rows_kept", "rows_merged", "rows_quarantined")
    return (
        batch_manifest.where(F.col("night_id") == night)
        .groupBy("source")
        .agg(*(F.sum(name).alias(name) for name in sums))
        .orderBy(F.desc("rows_in"), "source")
        .limit(MAX_SOURCES)
    )


def set_aside(quarantine: DataFrame) -> DataFrame:
    """Records in quarantine by source and first reason: source, reason_code, n; the 60 largest."""
    return (
        quarantine.groupBy("source", "reason_code")
        .agg(F.count(F.lit(1)).alias("n"))
        .orderBy(F.desc("n"), "source", "reason_code")
        .limit(MAX_SET_ASIDE)
    )


def match_weights(link_score: DataFrame) -> DataFrame:
    """Pairs of records by what follows from their match weight: decision (linked, doubtful, or the veto), band, n."""
    band = F.least(F.floor(F.col("match_weight") / BAND) * BAND, F.lit(HIGHEST)).cast("int")
    said = F.when(F.col("decision") == "vetoed", F.col("veto")).otherwise(F.col("decision"))
    return link_score.groupBy(said.alias("decision"), band.alias("band")).agg(F.count(F.lit(1)).alias("n"))


def steps(run: DataFrame, night: int) -> DataFrame:
    """The finished steps of one night in order: step, offset_seconds (from the first start), seconds, status,
    rows_in, rows_changed. A step that ran twice counts by its last run.
    """
    of_night = run.where(F.col("night_id") == night)
    start = of_night.agg(F.min("started_at").alias("first_at"))
    offset = F.unix_micros("started_at") - F.unix_micros("first_at")
    return (
        of_night.groupBy("step")
        .agg(F.max_by(F.struct(*LAST), F.struct("started_at", "run_id")).alias("last"))
        .select("step", "last.*")
        .crossJoin(start)
        .select(
            "step", (offset / 1e6).alias("offset_seconds"), "seconds", "status", "rows_in", "rows_changed"
        )
        .orderBy("offset_seconds", "step")
    )


def changes(run: DataFrame, night: int) -> DataFrame:
    """Rows that one night inserted, updated and deleted in silver and gold: table, n_inserted, n_updated,
    n_deleted; the 40 tables with most changes; tables without any are left out.
    """
    parts = {"n_inserted": "inserted", "n_updated": "updated", "n_deleted": "deleted"}
    total = F.col("n_inserted") + F.col("n_updated") + F.col("n_deleted")
    return (
        run.where(F.col("night_id") == night)
        .select(F.explode(F.from_json("changes", CHANGES)).alias("table", "change"))
        .where(F.col("table").rlike(r"^(silver|gold)\."))
        .groupBy("table")
        .agg(*(F.sum(F.greatest(F.col(f"change.{of}"), F.lit(0))).alias(name) for name, of in parts.items()))
        .where(total > 0)
        .orderBy(F.desc(total), "table")
        .limit(MAX_TABLES)
    )


def versions(run: DataFrame) -> DataFrame:
    """Every table the steps wrote: table, version (the newest), and the night and step that wrote it."""
    return (
        run.select(
            "night_id", "step", F.explode(F.from_json("tables_written", VERSIONS)).alias("table", "version")
        )
        .groupBy("table")
        .agg(F.max(F.struct("version", "night_id", "step")).alias("last"))
        .select("table", "last.version", F.col("last.night_id").alias("night"), "last.step")
        .orderBy("table")
        .limit(MAX_VERSIONS)
    )


def refusals(source_fault: DataFrame, night: int) -> DataFrame:
    """Sources that one night refused, as a whole or in part: source, subject, fault; at most 50."""
    return (
        source_fault.where(F.col("night_id") == night)
        .select("source", "subject", "fault")
        .orderBy("source", "subject")
        .limit(MAX_REFUSALS)
    )
