"""Quarantined records once more: what could not be read is read again with today's conf; what passes closes its entry.

Only records that could not be read are looked at here. Those that broke a rule of a silver table are judged anew by
every build, which closes what is fit by then. A killed retry is started again: nothing enters bronze twice.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import reduce

from pyspark import StorageLevel
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from medlake.clean.quarantine import CLOSED, OPEN, closing, from_reading
from medlake.doors.ledger import Counts
from medlake.grammar.contract import promise
from medlake.grammar.errors import UsageError
from medlake.sources.declared import Source, reads
from medlake.sources.dicom import with_count
from medlake.sources.manifest import with_digest
from medlake.steps.catalogue import catalogued
from medlake.steps.context import Context
from medlake.steps.ingest import of_form, reading, unseen
from medlake.steps.sources import TARGETS, all_sources, in_bronze

BY = "retry"  # how closed_by starts where a retry closed the entry


def run(ctx: Context) -> Counts:
    """Read the open entries of bronze again that `ctx.only` (a source) and `ctx.reason` (a code) name; default all."""
    sources = all_sources(ctx.conf)
    if ctx.only is not None and ctx.only not in sources:
        raise UsageError(f"There is no source {ctx.only!r} under conf/sources")
    entries = chosen(ctx.lake.read("quarantine.record"), ctx.only, ctx.reason).where(F.col("status") == OPEN)
    unread = entries.where(F.col("target").startswith("bronze.")).localCheckpoint()
    targets = {r["target"] for r in unread.select("target").distinct().limit(len(TARGETS)).collect()}
    counts = [_again(ctx, sources, form, unread) for form, name in TARGETS.items() if f"bronze.{name}" in targets]
    _manifest(ctx)
    return sum(counts, Counts())


def chosen(records: DataFrame, source: str | None, reason: str | None) -> DataFrame:
    """The entries of a source and of a reason code; None means any."""
    wanted: list[Column] = []
    if source is not None:
        wanted.append(F.col("source") == source)
    if reason is not None:
        wanted.append(F.array_contains("reason_codes", reason))
    return reduce(DataFrame.where, wanted, records)


def _again(ctx: Context, every: Mapping[str, Source], form: str, unread: DataFrame) -> Counts:
    """Read the files of the entries again; keep what is asked for and can be read now."""
    target = f"bronze.{TARGETS[form]}"
    entries = unread.where(F.col("target") == target)
    sources = {n: s for n, s in every.items() if reads(s, form)}
    files = of_form(ctx.lake.read("bronze.landing_file"), sources, form)
    named = entries.select("source", "file", "file_sha256").distinct()
    there = files.join(named, on=["source", "file", "file_sha256"], how="left_semi")
    now = with_digest(there.withColumnRenamed("file_sha256", "was")).where(F.col("file_sha256") == F.col("was"))
    asked = entries.select("source", "file_sha256", "row", F.col("record_id").alias("entry"))
    whole = asked.where(F.col("row") == 0).select("source", "file_sha256", F.lit(True).alias("whole")).distinct()
    by_row, by_file = ["source", "file_sha256", "row"], ["source", "file_sha256"]
    read = reading(ctx, sources, now.drop("was"), form).persist(StorageLevel.MEMORY_AND_DISK)
    try:
        found = read.join(asked, on=by_row, how="left").join(whole, on=by_file, how="left")
        found = found.where(F.col("entry").isNotNull() | F.col("whole"))
        fit = found.where(F.col("reason_code").isNull()).drop("entry", "whole")
        refused = found.where(F.col("reason_code").isNotNull()).drop("entry", "whole")
        kept = _append(ctx, target, fit)
        passed = asked.join(fit.select(*by_row), on=by_row, how="left_semi").select("entry")
        opened = asked.where("row = 0").join(fit.select(*by_file).distinct(), on=by_file, how="left_semi")
        opened = opened.join(refused.where("row = 0").select(*by_row), on=by_row, how="left_anti").select("entry")
        done = passed.unionByName(opened).distinct().withColumnRenamed("entry", "record_id")
        known, to = ctx.lake.read("quarantine.record"), promise("quarantine.record")
        still = from_reading(refused, target, known, to).localCheckpoint()
        again = asked.join(refused.select(*by_row), on=by_row, how="left_semi")
        renamed = again.select(F.col("entry").alias("record_id"))  # refused for another reason now: a new entry says it
        done = done.unionByName(renamed.join(still, on="record_id", how="left_anti")).distinct()
        closed = closing(entries.join(done, on="record_id", how="left_semi"), by=f"{BY} of night {ctx.night.number}")
        n_closed = closed.count()
        ctx.lake.merge("quarantine.record", closed.unionByName(still.select(*to.columns)), keep=True)
    finally:
        read.unpersist()
    n = entries.count()
    ctx.say(f"retry: {target}: {n:,} looked at, {n_closed:,} closed, {kept:,} records kept")
    return Counts(n, n_closed, n - n_closed, 0)


def _append(ctx: Context, target: str, fit: DataFrame) -> int:
    """Records that are not in bronze yet; returns how many."""
    stands = ["source", "source_table", "file_sha256", "row"]
    stamped = fit.withColumns(
        {"run_id": F.concat(F.lit("retry-"), F.lit(str(ctx.night.number))), "ingested_at": F.current_timestamp()}
    )
    fresh = stamped.join(ctx.lake.read(target).select(*stands), on=stands, how="left_anti")
    if target == "bronze.dicom_object":
        index = with_count(fresh.where("references_json IS NOT NULL"))
        columns = promise("bronze.dicom_directory").columns
        ctx.lake.merge("bronze.dicom_directory", index.select(*columns), keep=True)
        fresh = unseen(ctx, target, fresh.where("references_json IS NULL"), None)
    fresh = fresh.select(*promise(target).columns).localCheckpoint()
    n = fresh.count()
    if n:
        ctx.lake.append(target, fresh)
    if target == "bronze.fhir_resource":
        touched = fit.select("batch").distinct()
        catalogued(ctx, ctx.lake.read(target).join(touched, on="batch", how="left_semi"))
    return n


def _manifest(ctx: Context) -> None:
    """ops.batch_manifest of the batches that a retry has touched, counted anew from bronze and quarantine."""
    by = ["batch", "source", "source_table"]
    of_bronze = ctx.lake.read("quarantine.record").where(F.col("target").startswith("bronze."))
    by_retry = (F.col("status") == CLOSED) & F.col("closed_by").startswith(BY)
    touched = of_bronze.where(by_retry).select("batch", "source").distinct()
    if not touched.limit(1).count():
        return
    aside = of_bronze.where(~by_retry).groupBy(*by).agg(F.count("*").alias("rows_quarantined"))
    kept = in_bronze(ctx.lake, *by).groupBy(*by).agg(F.count("*").alias("rows_kept"))
    told = ctx.lake.read("ops.batch_manifest").join(touched, on=["batch", "source"], how="left_semi")
    now = kept.join(aside, on=by, how="full_outer").join(touched, on=["batch", "source"], how="left_semi")
    rest = told.select(*by, "night_id", "n_files", "n_bytes", "rows_merged")
    whole = now.join(rest, on=by, how="full_outer").fillna(
        0, ["rows_kept", "rows_quarantined", "n_files", "n_bytes", "rows_merged"]
    )
    whole = whole.withColumns({
        "night_id": F.coalesce("night_id", F.lit(ctx.night.number)),
        "rows_in": F.col("rows_kept") + F.col("rows_quarantined") + F.col("rows_merged"),
    })  # fmt: skip
    ctx.lake.merge("ops.batch_manifest", whole.select(*promise("ops.batch_manifest").columns), keep=True)
