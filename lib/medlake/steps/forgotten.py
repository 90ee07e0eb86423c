"""People who were forgotten do not come back: their keys are known by tombstones, keyed hashes that tell nothing.

Only a lake that has forgotten somebody pays for this: without tombstones nothing here runs a Spark job.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import reduce

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from medlake.privacy.pseudonym import keyed_hash
from medlake.sources.declared import Source
from medlake.sources.owners import NOBODY, PATIENT, owned
from medlake.steps.context import Context
from medlake.steps.sources import all_sources, patients_of

TOMBSTONES = "vault.forgotten"
WORDS = r"[^\p{L}\p{N}._\-]+"  # between the words of a raw record
PARTS = r"[^\p{L}\p{N}\-]+"  # between the parts of a path
SHORTEST = 5  # a shorter part of a path is somebody's key by chance
GONE = "(a person who was forgotten)"


def tombstones(ctx: Context) -> DataFrame | None:
    """The tombstones, or None where nobody was forgotten."""
    return None if ctx.lake.version(TOMBSTONES) is None else ctx.lake.read(TOMBSTONES)


def hashes(keys: Iterable[bytes], source: Column, value: Column) -> Column:
    """The tombstones' hash of a source key by each key of the key file, today's and retired ones (array)."""
    named = source.alias("source"), value.alias("person_source_value")
    return F.array(*[keyed_hash(key, *named) for key in keys])


def files_left(ctx: Context, files: DataFrame, stones: DataFrame) -> DataFrame:
    """The files of the landing folder whose path names nobody who was forgotten."""
    whose = owner(all_sources(ctx.conf).values())
    parts = files.select("source", "file", F.explode(F.array_distinct(F.split("file", PARTS))).alias("part"))
    told = parts.where(F.length("part") >= SHORTEST).withColumn("owner", whose)
    named = _marked(ctx, told, F.col("owner"), F.col("part"), stones).select("source", "file").distinct()
    return files.join(named, on=["source", "file"], how="left_anti")


def records_left(ctx: Context, fit: DataFrame, target: str, stones: DataFrame) -> DataFrame:
    """The records that can be kept, without those of people who were forgotten."""
    name = target.removeprefix("bronze.")
    if name not in ("csv_record", "fhir_resource", "hl7_message", "note_document", "dicom_object"):
        return fit
    whose = owned(fit, name, all_sources(ctx.conf))
    place = ["source", "file_sha256", "row"]
    known = whose.where(F.col(PATIENT[1]) != NOBODY)
    theirs = _marked(ctx, known, F.col(PATIENT[0]), F.col(PATIENT[1]), stones).select(*place).distinct()
    return fit.join(theirs, on=place, how="left_anti")


def entries_left(ctx: Context, refused: DataFrame, stones: DataFrame) -> DataFrame:
    """Records that could not be read; of one that names somebody who was forgotten only that it came."""
    place = ["source", "file_sha256", "row"]
    whose = owner(all_sources(ctx.conf).values())
    words = refused.select(*place, F.explode(F.array_distinct(F.split("raw", WORDS))).alias("word"))
    told = words.where(F.length("word") >= SHORTEST).withColumn("owner", whose)
    named = _marked(ctx, told, F.col("owner"), F.col("word"), stones).select(*place, F.lit(True).alias("named"))
    marked = refused.join(named.distinct(), on=place, how="left")
    hidden = {c: F.when(F.col("named"), F.lit(GONE)).otherwise(F.col(c)) for c in ("raw", "detail")}
    return marked.withColumns(hidden).select(*refused.columns)


def _marked(ctx: Context, rows: DataFrame, source: Column, value: Column, stones: DataFrame) -> DataFrame:
    """Those of the rows whose key a tombstone knows."""
    told = rows.withColumn("_hash", F.explode(hashes((ctx.key, *ctx.retired), source, value)))
    known = stones.select(F.col("source_key_hash").alias("_hash")).distinct()
    return told.join(F.broadcast(known), on="_hash", how="left_semi").drop("_hash")


def owner(sources: Iterable[Source]) -> Column:
    """The source whose keys name the patients of a row's source."""
    pairs = sorted(patients_of({s.name: s for s in sources}).items())
    return reduce(lambda rest, p: F.when(F.col("source") == p[0], p[1]).otherwise(rest), pairs, F.col("source"))
