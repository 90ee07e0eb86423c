"""Forget a person: every record and row of theirs goes from all layers, and a tombstone keeps them from coming back.

Their files of older versions go afterwards (`purge`), once link and build have made what remains whole.
"""

from __future__ import annotations

from functools import reduce

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from medlake.clean.quarantine import RAW
from medlake.doors.ledger import Counts
from medlake.grammar.contract import all_promises, promise
from medlake.grammar.errors import UsageError
from medlake.privacy.pseudonym import keyed_hash
from medlake.sources.owners import NOBODY, PATIENT, owned
from medlake.steps.context import Context
from medlake.steps.forgotten import TOMBSTONES, owner, tombstones
from medlake.steps.sources import HOLDERS, all_sources

KEY = ("source", "person_source_value")
LEFT, RIGHT = ("left_source", "left_key"), ("right_source", "right_key")
PLACE = ("source", "file_sha256", "row")
SHORTEST = 5  # of a number that is looked for in records whose owner is not known


def run(ctx: Context) -> Counts:
    """Delete what the lake holds of the person whom `ctx.extra` names (source and key, or person_id).

    Raises:
        UsageError: nobody of that key or id is known, and nobody was forgotten under it.
    """
    keys = _keys(ctx).localCheckpoint()
    ids = _ids(ctx, keys).localCheckpoint()
    persons = ctx.lake.read("vault.id_vault").join(keys, on=list(KEY), how="left_semi")
    persons = persons.select(F.explode(F.array("person_id", "own_person_id")).alias("person_id"))
    persons = persons.distinct().localCheckpoint()
    _write_tombstones(ctx, keys)
    n_rows = _from_open_zone(ctx, persons)
    n_records = _from_bronze(ctx, keys, ids)
    _from_vault(ctx, keys, persons)
    stones = _hashed(ctx, keys).select(F.substring("source_key_hash", 1, 16).alias("hash")).orderBy("hash").limit(100)
    for row in stones.collect():  # the keys of one person
        if ctx.lake.access is not None:
            ctx.lake.access.note("person", rows=n_records, why=f"forget {row['hash']}")
    ctx.say(f"forget: {n_records:,} records and {n_rows:,} rows of the open zone are deleted")
    return Counts(n_records, 0, 0, n_records)


def _keys(ctx: Context) -> DataFrame:
    """(source, person_source_value): every key of the person."""
    vault = ctx.lake.read("vault.id_vault")
    given = ctx.spark.createDataFrame(
        [(ctx.extra.get("source"), ctx.extra.get("key"))], "source string, person_source_value string"
    )
    if ctx.extra.get("person_id"):
        named = vault.where(F.col("person_id") == int(ctx.extra["person_id"] or 0)).select("person_id").distinct()
        every = vault.join(named, on="person_id", how="left_semi").select(*KEY)
    else:
        source = str(ctx.extra.get("source"))
        if source not in all_sources(ctx.conf):
            raise UsageError(f"forget: there is no source {source!r} under conf/sources")
        given = given.withColumn("source", owner(all_sources(ctx.conf).values()))
        named = vault.join(given, on=list(KEY), how="left_semi").select("person_id").distinct()
        linked = vault.join(named, on="person_id", how="left_semi").select(*KEY)
        every = given.unionByName(linked).distinct()
    known = vault.join(every, on=list(KEY), how="left_semi").count()
    stones = tombstones(ctx)
    if not known and (
        stones is None
        or not _hashed(ctx, every).join(stones, on=["source", "source_key_hash"], how="left_semi").count()
    ):
        raise UsageError("forget: nobody of this key or id is known here. (A key stands as its source writes it.)")
    return every


def _hashed(ctx: Context, keys: DataFrame) -> DataFrame:
    return keys.withColumn("source_key_hash", keyed_hash(ctx.key, F.col(KEY[0]), F.col(KEY[1])))


def _write_tombstones(ctx: Context, keys: DataFrame) -> None:
    rows = _hashed(ctx, keys).select("source", "source_key_hash", F.current_date().alias("forgotten_on"))
    known = tombstones(ctx)
    fresh = rows if known is None else rows.join(known, on=["source", "source_key_hash"], how="left_anti")
    ctx.lake.merge(TOMBSTONES, fresh, keep=True)


def _ids(ctx: Context, keys: DataFrame) -> DataFrame:
    """(id): the keys and numbers by which a record that names no patient may tell of the person."""
    identity = ctx.lake.read("vault.identity").join(keys, on=list(KEY), how="left_semi")
    numbers = F.array_compact(F.array("person_source_value", "medical_record_number", "national_id"))
    more = F.split(F.coalesce("other_id", F.lit("")), r"\s+")
    told = identity.select(F.explode(F.concat(numbers, more)).alias("id")).unionByName(
        keys.select(F.col(KEY[1]).alias("id"))
    )
    return told.select(F.trim("id").alias("id")).where(F.length("id") >= SHORTEST).distinct()


def _naming(rows: DataFrame, text: Column, ids: DataFrame) -> DataFrame:
    """Those of the rows whose text holds one of the ids as a word."""
    pattern = F.concat(F.lit(r"(?<![\p{L}\p{N}])\Q"), F.col("id"), F.lit(r"\E(?![\p{L}\p{N}])"))
    told = rows.withColumn("_text", text)
    is_there = F.contains(F.col("_text"), F.col("id")) & F.rlike(F.col("_text"), pattern)
    return told.join(F.broadcast(ids), on=is_there, how="left_semi").drop("_text")


def _from_open_zone(ctx: Context, persons: DataFrame) -> int:
    """Rows of silver and gold; returns how many."""
    instances = ctx.lake.read("silver.imaging_instance").join(persons, on="person_id", how="left_semi")
    objects = instances.select("sop_instance_uid").distinct().localCheckpoint()
    n = 0
    for name, said in all_promises().items():
        if not name.startswith(("silver.", "gold.")) or ctx.lake.version(name) is None:
            continue
        on, whose = ("person_id", persons) if "person_id" in said.columns else ("sop_instance_uid", objects)
        if on in said.columns:
            n += ctx.lake.remove(name, ctx.lake.read(name).join(whose, on=on, how="left_semi"))
    return n


def _from_bronze(ctx: Context, keys: DataFrame, ids: DataFrame) -> int:
    """Records as received, what was set aside of them, and the names of files that held nothing else."""
    sources = all_sources(ctx.conf)
    wanted = keys.toDF(*PATIENT)
    gone, objects = [], None
    n = 0
    for name in HOLDERS:
        if ctx.lake.version(f"bronze.{name}") is None:
            continue
        every = owned(ctx.lake.read(f"bronze.{name}"), name, sources)
        theirs = every.join(wanted, on=list(PATIENT), how="left_semi")
        loose = _naming(every.where(F.col(PATIENT[1]) == NOBODY), F.concat_ws(" ", F.expr(RAW[name]), "file"), ids)
        rows = theirs.select(*every.columns).unionByName(loose.select(*every.columns)).localCheckpoint()
        gone.append(rows.select(*PLACE, "source_table", "batch"))
        if name == "dicom_object":
            objects = rows.select(F.explode(F.array("study_uid", "series_uid", "sop_instance_uid")).alias("uid"))
        n += ctx.lake.remove(f"bronze.{name}", rows)
    if not gone:
        return 0
    records = reduce(DataFrame.unionByName, gone).localCheckpoint()
    if objects is not None:
        _from_uid_map(ctx, objects)
    answers = ctx.lake.read("bronze.hl7_acknowledgement")
    ctx.lake.remove("bronze.hl7_acknowledgement", answers.join(records, on=list(PLACE), how="left_semi"))
    entries = _from_quarantine(ctx, wanted, ids, records)
    _recounted(ctx, records, entries)
    _from_manifest(ctx, ids, records)
    return n + entries.count()


def _from_quarantine(ctx: Context, wanted: DataFrame, ids: DataFrame, records: DataFrame) -> DataFrame:
    """The deleted entries: of their records, of their rows, or naming them."""
    every = ctx.lake.read("quarantine.record")
    key = F.get_json_object("mapped_row", f"$.{PATIENT[1]}")
    of_rows = every.withColumns({PATIENT[0]: owner(all_sources(ctx.conf).values()), PATIENT[1]: key})
    parts = [
        every.join(records, on=list(PLACE), how="left_semi"),
        of_rows.join(wanted, on=list(PATIENT), how="left_semi").select(*every.columns),
        _naming(every, F.concat_ws(" ", "raw", "mapped_row", "detail", "file"), ids),
    ]
    gone = reduce(DataFrame.unionByName, [p.select(*every.columns) for p in parts]).distinct().localCheckpoint()
    ctx.lake.remove("quarantine.record", gone)
    return gone


def _recounted(ctx: Context, records: DataFrame, entries: DataFrame) -> None:
    """ops.batch_manifest: what was kept or set aside and is gone counts as merged; nothing vanishes uncounted."""
    by = ["batch", "source", "source_table"]
    unread = entries.where(F.col("target").startswith("bronze.") & F.col("closed_by").isNull())
    kept = records.groupBy(*by).agg(F.count("*").alias("n_kept"))
    aside = unread.groupBy(*by).agg(F.count("*").alias("n_aside"))
    told = ctx.lake.read("ops.batch_manifest").join(kept, on=by, how="left").join(aside, on=by, how="left")
    n_kept = F.least("rows_kept", F.coalesce("n_kept", F.lit(0)))
    n_aside = F.least("rows_quarantined", F.coalesce("n_aside", F.lit(0)))
    rows = told.where(n_kept + n_aside > 0).withColumns({
        "rows_kept": F.col("rows_kept") - n_kept, "rows_quarantined": F.col("rows_quarantined") - n_aside,
        "rows_merged": F.col("rows_merged") + n_kept + n_aside,
    })  # fmt: skip
    ctx.lake.merge("ops.batch_manifest", rows.select(*promise("ops.batch_manifest").columns), keep=True)


def _from_manifest(ctx: Context, ids: DataFrame, records: DataFrame) -> None:
    """Files whose name tells the person, and files of which nothing is left."""
    files = ctx.lake.read("bronze.landing_file")
    by = ["source", "file_sha256"]
    left = reduce(DataFrame.unionByName, [ctx.lake.read(f"bronze.{name}").select(*by) for name in HOLDERS])
    left = left.unionByName(ctx.lake.read("quarantine.record").select(*by))
    emptied = records.select(*by).distinct().join(left, on=by, how="left_anti")
    named = _naming(files, F.col("file"), ids)
    gone = named.select(*files.columns).unionByName(files.join(emptied, on=by, how="left_semi").select(*files.columns))
    n = ctx.lake.remove("bronze.landing_file", gone)
    if n:
        ctx.say(f"forget: {n:,} landing files held nothing else or name the person; they are yours to remove")


def _from_uid_map(ctx: Context, objects: DataFrame) -> None:
    still = ctx.lake.read("bronze.dicom_object")
    others = still.select(F.explode(F.array("study_uid", "series_uid", "sop_instance_uid")).alias("uid")).distinct()
    gone = objects.distinct().join(others, on="uid", how="left_anti")
    ctx.lake.remove("vault.uid_map", gone)


def _from_vault(ctx: Context, keys: DataFrame, persons: DataFrame) -> None:
    """Every row of the vault under one of the keys or ids, at either end of a pair; tombstones name neither."""
    for name, said in all_promises().items():
        if not name.startswith("vault.") or ctx.lake.version(name) is None:
            continue
        rows = ctx.lake.read(name)
        by_key = [on for on in (PATIENT, LEFT, RIGHT) if set(on) <= set(said.columns)]
        if not by_key and set(KEY) <= set(said.columns):
            by_key = [KEY]
        parts = [rows.join(keys.toDF(*on), on=list(on), how="left_semi") for on in by_key]
        by_id = [on for on in ("person_id", "to_person_id") if on in said.columns]
        parts += [rows.join(persons.toDF(on), on=on, how="left_semi") for on in by_id]
        if parts:
            ctx.lake.remove(name, reduce(DataFrame.unionByName, [part.select(*rows.columns) for part in parts]))
