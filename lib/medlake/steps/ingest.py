"""Landing → bronze: what is new by path and content is read, each record kept or set aside, once.

The batch is written down first (bronze.landing_file), then read: a killed ingest goes on with the very same
files. Every append carries its batch, so a second append of one batch changes nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from pyspark import StorageLevel
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from medlake.clean.quarantine import closing, from_reading, sent_again
from medlake.doors.ledger import TALLY, Counts
from medlake.grammar.contract import promise
from medlake.grammar.errors import InputRefusedError, UsageError
from medlake.sources.declared import Source, reads
from medlake.sources.dicom import read_objects, with_count
from medlake.sources.drift import missing_columns, new_columns
from medlake.sources.fhir import read_resources
from medlake.sources.hl7 import acknowledgements, read_messages
from medlake.sources.manifest import UNCLAIMED, keep_new, list_files, unread
from medlake.sources.notes import read_notes
from medlake.sources.raster import read_pictures
from medlake.sources.tables import read_records
from medlake.steps import databases
from medlake.steps.catalogue import catalogued
from medlake.steps.context import Context
from medlake.steps.forgotten import entries_left, files_left, records_left, tombstones
from medlake.steps.settled import settled
from medlake.steps.sources import TARGETS, all_sources, next_batch


def run(ctx: Context) -> Counts:
    """Take in what is new below LANDING."""
    every = all_sources(ctx.conf)
    sources = {n: s for n, s in every.items() if ctx.only in (None, n)}
    if not sources:
        raise UsageError(f"There is no source {ctx.only!r} under conf/sources")
    total, number = Counts(), unfinished(ctx)
    on_files = {n: s for n, s in sources.items() if s.server is None}
    if number is None and on_files:
        number = planned(ctx, on_files, is_needed=len(on_files) == len(sources))
    while number is not None:
        total += taken_in(ctx, every, number)
        number = unfinished(ctx)
    return total + databases.read_all(ctx, sources, _kept_or_refused)


def unfinished(ctx: Context) -> int | None:
    """The batch that was written down but not read to its end, if there is one."""
    done = ctx.lake.read("ops.batch").select("batch")
    left = ctx.lake.read("bronze.landing_file").join(done, on="batch", how="left_anti")
    row = left.agg(F.min("batch").alias("batch")).first()
    return None if row is None or row["batch"] is None else int(row["batch"])


def planned(ctx: Context, sources: dict[str, Source], *, is_needed: bool = True) -> int | None:
    """Write the new files down as the next batch; its number, or None where nothing is new.

    Raises:
        InputRefusedError: no source has a folder, and one is needed.
    """
    seen = ctx.lake.read("bronze.landing_file")
    landing = ctx.settings.landing
    folders = [
        (n, str(landing / n)) for n in sources if (landing / n).is_dir()
    ]  # one per source, not per file
    if not folders and not is_needed:
        return None
    if not folders:
        raise InputRefusedError(
            f"{landing} has no folder of a known source. Known: {', '.join(sorted(sources))}."
        )
    number = next_batch(ctx)
    frame = ctx.spark.createDataFrame(folders, "source string, folder string").repartition(len(folders))
    listed, stones = list_files(frame, sources, batch=number), tombstones(ctx)
    if stones is not None:
        listed = files_left(ctx, listed, stones)
    found = keep_new(listed, seen).persist(StorageLevel.MEMORY_AND_DISK)
    fresh = found
    try:
        held = _held(ctx, fresh, sources)
        fresh = fresh.where(~F.col("source").isin(held)) if held else fresh
        by_table = fresh.groupBy("source", "source_table").agg(F.count("*").alias("n"))
        counts = {(r["source"], r["source_table"]): int(r["n"]) for r in by_table.limit(100_000).collect()}
        if counts:
            ctx.lake.append("bronze.landing_file", fresh, txn=("medlake/landing_file", number))
    finally:
        found.unpersist()
    lost = sum(n for (_, table), n in counts.items() if table == UNCLAIMED)
    ctx.say(f"ingest: {sum(counts.values()) - lost:,} new files of {len({s for s, _ in counts})} sources")
    if lost:
        ctx.say(f"ingest: {lost:,} files fit no pattern of their source and were not read")
    return number if counts else None


def _held(ctx: Context, files: DataFrame, sources: dict[str, Source]) -> list[str]:
    """The sources whose new files lack columns that are needed: nothing of them is taken in until that is settled."""
    tables = {n: s for n, s in sources.items() if reads(s, "csv")}
    if not tables:
        return []
    lacking = missing_columns(files, tables, max_line_bytes=ctx.settings.ingest.max_line_bytes)
    rows = lacking.orderBy("source", "source_table", "column").limit(10_000).collect()  # bounded by conf
    _write_drift(ctx, [(r["source"], r["source_table"], r["column"], "missing") for r in rows])
    for source, table in dict.fromkeys((r["source"], r["source_table"]) for r in rows):
        mine = [r for r in rows if (r["source"], r["source_table"]) == (source, table)]
        names = ", ".join(r["column"] + (f" (renamed to {r['perhaps']}?)" if r["perhaps"] else "") for r in mine)
        ctx.refuse(
            source, table,
            f"{mine[0]['n_files']} new file(s) of table {table} lack the column(s) {names}. Nothing of {source} was "
            f"taken in. Correct the file, or take it out of the landing folder {source}/, or change "
            f"conf/sources/{source}: the mapping that reads the column, or key, columns and optional of the table.",
        )  # fmt: skip
    return sorted({r["source"] for r in rows})


def _write_drift(ctx: Context, found: list[tuple[str, str, str, str]]) -> None:
    if found:
        rows = [(ctx.night.number, *row) for row in found]
        frame = ctx.spark.createDataFrame(rows, promise("ops.source_drift").schema)
        ctx.lake.merge("ops.source_drift", frame, keep=True)


def taken_in(ctx: Context, sources: dict[str, Source], number: int) -> Counts:
    """Read one batch to its end, each content once, and mark it as read."""
    files = ctx.lake.read("bronze.landing_file")
    batch = files.where((F.col("batch") == number) & (F.col("source_table") != UNCLAIMED))
    new = settled(unread(batch, files.where(F.col("batch") < number)))  # each format asks for its files in many queries
    present = new.groupBy("source", "source_table").count().limit(10_000).collect()
    formats: Counter[str] = Counter()
    for name, table, n in present:
        if name in sources:
            formats[sources[name].form_of(table)] += n
    work = [_reading(ctx, sources, new, form, formats[form], number) for form in sorted(formats)]
    counts = sum(ctx.side_by_side(work, threads=max(1, len(work))), Counts())
    row = new.agg(
        F.lit(number).alias("batch"), F.lit(ctx.night.number).alias("night_id"), F.count("*").alias("n_files")
    )
    ctx.lake.merge("ops.batch", row, keep=True)
    return counts


def _reading(
    ctx: Context, sources: dict[str, Source], batch: DataFrame, form: str, n_files: int, number: int
) -> Callable[[], Counts]:
    mine = {n: s for n, s in sources.items() if reads(s, form)}
    files = of_form(batch, mine, form)
    pieces = min(n_files, ctx.spark.sparkContext.defaultParallelism * 4)
    files = files.repartition(pieces, "file_sha256")
    target = f"bronze.{TARGETS[form]}"
    return lambda: _kept_or_refused(ctx, target, reading(ctx, mine, files, form), files, number)


def of_form(files: DataFrame, mine: dict[str, Source], form: str) -> DataFrame:
    """The files of the sources `mine` that are read as `form`; a raster source has CSV tables beside its pictures."""
    asked = files.where(F.col("source").isin(list(mine)))
    if form == "csv" and any(s.format == "raster" for s in mine.values()):
        return asked.where(F.col("source_table") != "raster")
    return asked.where(F.col("source_table") == "raster") if form == "raster" else asked


def reading(ctx: Context, mine: dict[str, Source], files: DataFrame, form: str) -> DataFrame:
    """The records of files of one format, each with its place and, where it cannot be kept, its reason."""
    chosen = ctx.settings.ingest
    readers: dict[str, Callable[[], DataFrame]] = {
        "csv": lambda: read_records(
            files, mine, max_line_bytes=chosen.max_line_bytes, max_span_lines=chosen.max_span_lines
        ),
        "fhir": lambda: read_resources(
            files, max_line_bytes=chosen.max_line_bytes, max_document_bytes=chosen.max_document_bytes
        ),
        "hl7": lambda: read_messages(files, mine, max_bytes=chosen.max_line_bytes),
        "notes": lambda: read_notes(files, mine, max_bytes=chosen.max_line_bytes),
        "dicom": lambda: read_objects(files),
        "raster": lambda: read_pictures(files, mine),
    }
    return readers[form]()


def _kept_or_refused(
    ctx: Context, target: str, records: DataFrame, files: DataFrame, number: int,
    *, new: DataFrame | None = None, app: str | None = None,
) -> Counts:  # fmt: skip
    """Append what can be kept to `target`, set the rest aside, and count both.

    `new`: those of the records that are not known yet, where not all are. `app`: who appends, where several do.
    """
    to = promise(target)
    read, stones = records.persist(StorageLevel.MEMORY_AND_DISK), tombstones(ctx)
    try:
        fit = read.where(F.col("reason_code").isNull())
        kept = fit if new is None else new
        if stones is not None:
            kept = records_left(ctx, kept, target, stones)
        stamped = kept.withColumns({"run_id": F.lit(f"batch-{number}"), "ingested_at": F.current_timestamp()})
        fresh = directories = stamped
        if target == "bronze.dicom_object":
            directories = stamped.where("references_json IS NOT NULL")
            fresh = unseen(ctx, target, stamped.where("references_json IS NULL"), number)
        by = ["source", "source_table"]
        held = fresh.select(*by) if fresh is stamped else fresh.select(*by).unionByName(directories.select(*by))
        counts = _manifest(ctx, read, held, files, number)
        ctx.lake.append(target, fresh.select(*to.columns), txn=(app or f"medlake/{target}", number))
        known, quarantine = ctx.lake.read("quarantine.record"), promise("quarantine.record")
        refused = read.where(F.col("reason_code").isNotNull())
        if stones is not None:
            refused = entries_left(ctx, refused, stones)
        aside = from_reading(refused, target, known, quarantine)
        if "file_sha256" in files.columns:  # a database sends no files
            over = closing(sent_again(known, files, target), by=f"batch {number}: the file was sent again")
            aside = aside.unionByName(over)
        aside = aside.localCheckpoint()
        with ctx.lock:
            ctx.lake.merge("quarantine.record", aside, keep=True)
        if target == "bronze.csv_record":
            _columns(ctx, fit, number)
        if target == "bronze.fhir_resource":
            catalogued(ctx, fresh)
        if target == "bronze.dicom_object":
            index = promise("bronze.dicom_directory").columns
            ctx.lake.merge("bronze.dicom_directory", with_count(directories).select(*index), keep=True)
        if target == "bronze.hl7_message":
            ctx.lake.merge("bronze.hl7_acknowledgement", acknowledgements(read), keep=True)
    finally:
        read.unpersist()
    return counts


def unseen(ctx: Context, target: str, objects: DataFrame, number: int | None) -> DataFrame:
    """DICOM objects that are not here yet: the same object re-sent, moved or zipped keeps its content.

    `number`: only batches before it count as here; None: all.
    """
    here = ctx.lake.read(target)
    known = here if number is None else here.where(F.col("batch") < number)
    place = F.struct("source", "file", "row")
    first = objects.groupBy("sop_instance_uid", "content_sha256").agg(F.min(place).alias("first"))
    once = objects.join(first, on=["sop_instance_uid", "content_sha256"], how="inner").where(
        place == F.col("first")
    )
    return once.join(known, on=["sop_instance_uid", "content_sha256"], how="left_anti")


def _columns(ctx: Context, fit: DataFrame, number: int) -> None:
    """Remember which columns the tables have brought."""
    brought = ctx.lake.read("bronze.source_column")
    known = brought.select("source", "source_table", "column")
    seen = fit.select("source", "source_table", F.explode(F.map_keys("record")).alias("column")).distinct()
    new = seen.join(known, on=["source", "source_table", "column"], how="left_anti")
    drift = new_columns(seen, brought.where(F.col("batch") < number).select(*known.columns))
    rows = drift.orderBy(*known.columns).limit(1_000).collect()  # bounded by the columns of the sources
    _write_drift(ctx, [(r["source"], r["source_table"], r["column"], "new") for r in rows])
    for source, table in dict.fromkeys((r["source"], r["source_table"]) for r in rows):
        names = [r["column"] for r in rows if (r["source"], r["source_table"]) == (source, table)]
        more = f" and {len(names) - 10} more" if len(names) > 10 else ""
        said = f"{', '.join(names[:10])}{more}"
        ctx.say(f"ingest: {source}.{table} brings new columns, kept and not read by any mapping: {said}")
    ctx.lake.merge("bronze.source_column", new.withColumn("batch", F.lit(number)), keep=True)


def _manifest(ctx: Context, read: DataFrame, fresh: DataFrame, files: DataFrame, number: int) -> Counts:
    """ops.batch_manifest: per source table what came in and where it went; returns the sum."""
    bad = F.col("reason_code").isNotNull()
    by = ["source", "source_table"]
    told = read.groupBy(*by).agg(F.count("*").alias("rows_in"), F.count_if(bad).alias("rows_quarantined"))
    kept = fresh.groupBy(*by).agg(F.count("*").alias("rows_kept"))
    of_file = files.select("source", "file", "size_bytes")
    sizes = read.select(*by, "file").distinct().join(of_file, on=["source", "file"], how="inner").groupBy(*by)
    n_files = sizes.agg(F.count("*").alias("n_files"), F.sum("size_bytes").alias("n_bytes"))
    joined = told.join(kept, on=by, how="left").join(n_files, on=by, how="left")
    whole = joined.fillna(0, ["rows_kept", "n_files", "n_bytes"]).withColumns(
        {
            "batch": F.lit(number),
            "night_id": F.lit(ctx.night.number),
            "rows_merged": F.col("rows_in") - F.coalesce("rows_kept", F.lit(0)) - F.col("rows_quarantined"),
        }
    )
    rows = whole.select(*promise("ops.batch_manifest").columns).localCheckpoint()  # reads the files; then one at a time
    with ctx.lock:
        ctx.lake.merge("ops.batch_manifest", rows, keep=True)
    return Counts.of(rows.agg(*[F.sum(c) for c in TALLY]).first())
