"""The audit: do the counts add up, and did an identifier leave the restricted zone? A no fails the night."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

from pyspark import StorageLevel
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from medlake.doors.ledger import Counts
from medlake.grammar.contract import promise
from medlake.grammar.errors import QualityGateError
from medlake.privacy.leak_scan import hits, identifiers
from medlake.sources.manifest import UNCLAIMED
from medlake.sources.reading import walk
from medlake.steps.chain import chain_faults
from medlake.steps.codes import FROM_CONF
from medlake.steps.context import Context
from medlake.steps.sources import counts_of, in_bronze

OPEN = ("open", "report", "mlflow", "log")


def run(ctx: Context) -> Counts:
    """Check the counts, then search every byte of the open zone, MLflow, the reports and the logs.

    Raises:
        QualityGateError: counts do not add up, an identifier was found, or a planted one was not.
    """
    faults = count_faults(ctx) + _leaks(ctx) + chain_faults(ctx.lake)
    head = ctx.lake.access.head() if ctx.lake.access is not None else None
    if head is not None:  # on the console and in the log, where whoever puts files back does not reach all copies
        ctx.say(f"audit: the access log has {head['n']:,} lines, the last is {str(head['hash'])[:16]}")
    if faults:
        raise QualityGateError("The audit found:\n" + "\n".join(f"  - {fault}" for fault in faults))
    return Counts()


def count_faults(ctx: Context) -> list[str]:
    """Where rows in ≠ kept + quarantined + merged, or a table does not hold what its build kept."""
    unequal = "rows_in <> rows_kept + rows_quarantined + rows_merged"
    tallied = ("ops.batch_manifest", "ops.table_build", "ops.run")
    wrong = counts_of({name: ctx.lake.read(name).where(unequal) for name in tallied})
    faults = [f"{name}: {n} row(s) do not add up" for name, n in wrong.items() if n]
    faults += _unaccounted(ctx)
    built = ctx.lake.read("ops.table_build").where(
        (F.col("night_id") == ctx.night.number) & (F.col("table") != "person")
    )
    kept = {
        r["table"]: int(r["kept"])
        for r in built.groupBy("table").agg(F.sum("rows_kept").alias("kept")).collect()
    }
    have = counts_of({table: ctx.lake.read(f"silver.{table}") for table in kept})
    faults += [
        f"silver.{table} holds {have[table]:,} rows, its build kept {rows:,}"
        for table, rows in kept.items() if have[table] != rows
    ]  # fmt: skip
    return faults


def _unaccounted(ctx: Context) -> list[str]:
    """Files that were read but stand neither in bronze nor in quarantine."""
    files = (
        ctx.lake.read("bronze.landing_file")
        .where(F.col("source_table") != UNCLAIMED)
        .select("source", "file_sha256")
        .distinct()
    )
    seen = ctx.lake.read("quarantine.record").where("target LIKE 'bronze.%'").select("source", "file_sha256")
    seen = seen.unionByName(in_bronze(ctx.lake, "source", "file_sha256"))
    objects = ctx.lake.read("ops.batch_manifest").where("rows_merged > 0").count()
    n = files.join(seen.distinct(), on=["source", "file_sha256"], how="left_anti").count()
    return [f"{n} file(s) were taken in but left no record"] if n and not objects else []


def _leaks(ctx: Context) -> list[str]:
    patterns = identifiers(ctx.lake.read("vault.identity"), ctx.lake.read("vault.uid_map"))
    patterns = patterns.persist(StorageLevel.MEMORY_AND_DISK)
    scratch = Path(tempfile.mkdtemp(prefix="audit-", dir=ctx.settings.lake / "restricted"))
    try:
        planted = _planted(ctx, patterns, scratch)
        files = _files(ctx, [*OPEN, scratch.relative_to(ctx.settings.lake).as_posix()])
        # Among seventy thousand codes of ICD some are written like the keys of some source.
        of_conf = "|".join(name.replace(".", "/") for name in FROM_CONF)
        files = files.where(~F.col("file").rlike(f"^open/({of_conf})/"))
        pieces = ctx.spark.sparkContext.defaultParallelism * 4
        found = hits(files, patterns, pieces=pieces).persist(StorageLevel.MEMORY_AND_DISK)
        faults = _verdict(ctx, patterns, found, files, planted, scratch.name)
        found.unpersist()
    finally:
        shutil.rmtree(scratch)
        patterns.unpersist()
    return faults


def _planted(ctx: Context, patterns: DataFrame, scratch: Path) -> DataFrame:
    """One real identifier of each class, planted into Parquet, gzip and text under the restricted zone."""
    chosen = patterns.groupBy("identifier_class").agg(F.min("pattern").alias("pattern"))
    text = F.concat_ws(" ", F.lit("…"), "pattern", F.lit("…")).alias("value")
    chosen.select(text).coalesce(1).write.parquet(str(scratch / "parquet"))
    chosen.select(text).coalesce(1).write.option("compression", "gzip").text(str(scratch / "gzip"))
    chosen.select(text).coalesce(1).write.json(str(scratch / "json"))
    return chosen


def _files(ctx: Context, roots: list[str]) -> DataFrame:
    """(file, uri) below the roots, listed by executors."""
    root = str(ctx.settings.lake)
    folders = [(str(ctx.settings.lake / name),) for name in roots if (ctx.settings.lake / name).is_dir()]

    def run(batches):  # type: ignore[no-untyped-def]
        import pyarrow as pa

        for batch in batches:
            for folder in batch.column("folder").to_pylist():
                listed = [(os.path.relpath(uri, root), uri) for _, uri, _ in walk(folder)]
                columns = [pa.array([row[i] for row in listed], pa.string()) for i in (0, 1)]
                yield pa.RecordBatch.from_arrays(columns, names=["file", "uri"])

    frame = ctx.spark.createDataFrame(folders, "folder string").repartition(len(folders))
    return frame.mapInArrow(run, "file string, uri string")


def _verdict(
    ctx: Context, patterns: DataFrame, found: DataFrame, files: DataFrame, planted: DataFrame, scratch: str
) -> list[str]:
    """Write ops.leak_scan_result and say what is wrong, never with the identifier itself."""
    ours = F.col("file").contains(scratch)
    # least and greatest shifted dates in Delta's statistics: somebody's shifted date is another one's birthday
    statistic = (F.col("identifier_class") == "birth_date") & F.col("file").contains("/_delta_log/")
    by = "identifier_class"
    real = (
        found.where(~ours & ~statistic)
        .groupBy(by)
        .agg(
            F.count_distinct("file", "pattern").alias("n_hits"),
            F.array_join(F.slice(F.array_sort(F.collect_set("file")), 1, 10), ", ").alias("places"),
        )
    )
    kind = F.regexp_extract("file", f"{scratch}/([a-z]+)/", 1)
    again = (
        found.where(ours)
        .join(planted, on=[by, "pattern"], how="left_semi")
        .groupBy(by)
        .agg(F.count_distinct(kind).alias("n_planted_found"))
    )
    n_files = files.where(~ours).agg(F.count("*").alias("n_files"))
    rows = (
        patterns.groupBy(by).agg(F.count("*").alias("n_identifiers"))
        .join(real, on=by, how="left").join(again, on=by, how="left").crossJoin(n_files)
        .fillna(0, ["n_hits", "n_planted_found"])
        .withColumns({"night_id": F.lit(ctx.night.number), "n_planted": F.lit(3).cast("bigint")})
    )  # fmt: skip
    ctx.lake.merge("ops.leak_scan_result", rows.select(*promise("ops.leak_scan_result").columns), keep=True)
    told = (
        ctx.lake.read("ops.leak_scan_result")
        .where(F.col("night_id") == ctx.night.number)
        .limit(100)
        .collect()
    )
    faults = [
        f"{r['n_hits']} {r[by]} identifier(s) in the open zone: {r['places']}" for r in told if r["n_hits"]
    ]
    faults += [
        f"the search for {r[by]} found {r['n_planted_found']} of {r['n_planted']} planted ones: it cannot be trusted"
        for r in told
        if r["n_planted_found"] != r["n_planted"]
    ]
    n = sum(r["n_identifiers"] for r in told)
    where = told[0]["n_files"] if told else 0
    ctx.say(f"audit: searched {where:,} files for {n:,} identifiers: {sum(r['n_hits'] for r in told)} found")
    return faults
