"""Databases → bronze: the rows that are new or changed since the last reading; one that cannot be read stops no other.

A reading is a batch of its own. The watermark moves last: a reading that was killed is made again, and finds
unchanged what it has already written.
"""

from __future__ import annotations

from collections.abc import Callable

from pyspark import StorageLevel
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from medlake.doors.database import Database, connected
from medlake.doors.ledger import Counts
from medlake.grammar.contract import promise
from medlake.grammar.errors import InputRefusedError
from medlake.sources.database import PARTITION, Extract, as_records, bounds_query, keep_changed, rows_query
from medlake.sources.declared import Source
from medlake.steps.context import Context
from medlake.steps.sources import count_all, next_batch

BRONZE = "bronze.csv_record"

Write = Callable[..., Counts]  # ingest.kept_or_refused: the writing is that of every other format


def read_all(ctx: Context, sources: dict[str, Source], write: Write) -> Counts:
    """Read every database source; the refused ones are told in `ctx.faults`."""
    total = Counts()
    for source in sources.values():
        if source.server is None:
            continue
        try:
            total += _read_source(ctx, source, write)
        except InputRefusedError as fault:
            ctx.refuse(source.name, "database", str(fault))
    return total


def _read_source(ctx: Context, source: Source, write: Write) -> Counts:
    server = source.server
    assert server is not None
    database = connected(
        ctx.spark, source.name, server.url, server.user, server.password_env, server.password_file
    )
    total = Counts()
    for extract in source.extracts:
        with database.refusing():
            total += _read_table(ctx, source, database, extract, write)
    return total


def _read_table(ctx: Context, source: Source, database: Database, extract: Extract, write: Write) -> Counts:
    """One table from its last watermark on, as far as it reaches now."""
    table = next(t for t in source.tables if t.name == extract.name)
    mine = (F.col("source") == source.name) & (F.col("source_table") == extract.name)
    since, number = _watermark(ctx, extract, mine), next_batch(ctx, ctx.lake.read(BRONZE).where(mine))
    until, answer = _asked(database, extract, since)
    records = as_records(answer, source.name, extract, table.key, table.null, batch=number)
    records = records.persist(StorageLevel.MEMORY_AND_DISK)
    try:
        fit = records.where(F.col("reason_code").isNull())
        changed = keep_changed(fit, ctx.lake.read(BRONZE), source.name, extract, table.key)
        changed = changed.persist(StorageLevel.MEMORY_AND_DISK)
        bad = records.where(F.col("reason_code").isNotNull())
        aside = ctx.lake.read("quarantine.record").select("source", "file_sha256", "row")
        n_news = changed.count() + bad.join(aside, on=["source", "file_sha256", "row"], how="left_anti").count()
        n, n_bad = count_all(records), count_all(bad)
        ctx.say(f"ingest: {source.name}.{extract.name}: {n:,} rows read, {n_news:,} new or changed")
        if n_news:  # without news no table gets a new version, and the steps after it have nothing to do
            app = f"medlake/{BRONZE}/{source.name}/{extract.name}"
            counts = write(ctx, BRONZE, records, _place(ctx, source, extract), number, new=changed, app=app)
        else:
            counts = Counts(rows_in=n, quarantined=n_bad, merged=n - n_bad)
        changed.unpersist()
    finally:
        records.unpersist()
    _finish(ctx, source.name, extract, until, number, has_news=bool(n_news))
    return counts


def _asked(database: Database, extract: Extract, since: str | None) -> tuple[str | None, DataFrame]:
    """(the watermark up to which is read, the rows as text)."""
    columns = database.columns(extract.origin)
    missing = {extract.watermark, extract.deleted, extract.partition_column} - {None, *columns}
    if missing:
        raise InputRefusedError(f"{extract.name} has no column {', '.join(sorted(map(str, missing)))}: see source.toml")
    ends = database.one(bounds_query(extract, since))
    query = rows_query(extract, columns, since, ends["high"])
    lower, upper = (str(e) if e is not None else None for e in (
        extract.lower if extract.lower is not None else ends["least"],
        extract.upper if extract.upper is not None else ends["most"],
    ))  # fmt: skip
    if extract.partition_column is None or lower is None or upper is None or lower == upper:
        return ends["high"], database.rows(query)
    return ends["high"], database.rows(query, ranges=(PARTITION, lower, upper, extract.partitions))


def _watermark(ctx: Context, extract: Extract, mine: Column) -> str | None:
    """The watermark of the last whole reading; None: read all. Another column starts anew."""
    if extract.watermark is None:
        return None
    known = ctx.lake.read("ops.watermark").where(mine)
    row = known.where(F.col("column") == F.lit(extract.watermark)).first()
    return None if row is None else str(row["value"])


def _place(ctx: Context, source: Source, extract: Extract) -> DataFrame:
    """The reading in the words of a file, for the manifest; a table has no size in bytes."""
    return ctx.spark.createDataFrame([(source.name, extract.name, 0)], "source string, file string, size_bytes bigint")


def _finish(
    ctx: Context, source: str, extract: Extract, until: str | None, number: int, *, has_news: bool
) -> None:
    if has_news:
        row = ctx.spark.createDataFrame([(number, ctx.night.number, 1)], promise("ops.batch").schema)
        ctx.lake.merge("ops.batch", row, keep=True)
    if extract.watermark and until is not None:
        said = [(source, extract.name, extract.watermark, until)]
        row = ctx.spark.createDataFrame(said, promise("ops.watermark").schema)
        ctx.lake.merge("ops.watermark", row, keep=True)
