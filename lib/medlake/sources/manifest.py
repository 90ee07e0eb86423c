"""The manifest: every file of the landing folder by path, size and content, listed by executors.

Never by modification time: a copied, touched or re-sent file keeps its content, and content decides.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping

import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql import types as T
from pyspark.sql.pandas.types import to_arrow_schema

from medlake.sources.declared import Source
from medlake.sources.reading import FILE, file_digest, walk

UNCLAIMED = "(unclaimed)"  # a file that no pattern of its source's folder fits: counted, not read


def list_files(folders: DataFrame, sources: Mapping[str, Source], *, batch: int) -> DataFrame:
    """One row per file (columns of `FILE`) below the folders (source string, folder string).

    Hidden files, sub-folders and old files count like any other; links are not followed.
    """
    listed = T.StructType([f for f in FILE.fields if f.name not in ("file_sha256", "batch")])
    arrow = to_arrow_schema(listed)

    def run(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for folder in (row for b in batches for row in b.to_pylist()):
            source = sources[folder["source"]]
            rows = []
            for file, uri, size in walk(folder["folder"]):
                table, deletes = source.claims(file) or (UNCLAIMED, False)
                rows.append(
                    {"source": source.name, "source_table": table, "is_deletion": deletes,
                     "file": file, "uri": uri, "size_bytes": size}
                )  # fmt: skip
                if len(rows) >= 10_000:
                    yield pa.RecordBatch.from_pylist(rows, schema=arrow)
                    rows = []
            yield pa.RecordBatch.from_pylist(rows, schema=arrow)

    spread = folders.mapInArrow(run, listed).repartition(F.col("source"), F.col("file"))
    return with_digest(spread).withColumn("batch", F.lit(batch)).select(*FILE.names)


def with_digest(files: DataFrame) -> DataFrame:
    """Adds `file_sha256`; a file that cannot be opened gets a digest of its path and is refused when read."""
    schema = T.StructType([*files.schema.fields, T.StructField("file_sha256", T.StringType(), False)])

    def run(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            seen = [_digest(uri) for uri in batch.column("uri").to_pylist()]
            yield pa.RecordBatch.from_arrays(
                [*batch.columns, pa.array(seen, pa.string())], names=[*batch.schema.names, "file_sha256"]
            )

    return files.mapInArrow(run, schema)


def _digest(uri: str) -> str:
    try:
        return file_digest(uri)
    except OSError:
        return "unreadable-" + hashlib.sha256(uri.encode()).hexdigest()


def keep_new(files: DataFrame, seen: DataFrame) -> DataFrame:
    """The files that are not the newest that `bronze.landing_file` (`seen`) knows at their path."""
    newest = seen.groupBy("source", "file").agg(F.max_by("file_sha256", "batch").alias("file_sha256"))
    return files.join(newest, on=["source", "file", "file_sha256"], how="left_anti")


def unread(batch: DataFrame, earlier: DataFrame) -> DataFrame:
    """The files of a batch that must be read: each content once, and not where it was read before.

    A file that was moved or sent again is known by its content. One that goes back to an older content is read
    again: what came between must not stay the newest. `earlier`: bronze.landing_file of the batches before.
    """
    content = earlier.groupBy("source", "file_sha256").agg(F.min("batch").alias("read_in"))
    place = earlier.groupBy("source", "file").agg(F.max("batch").alias("replaced_in"))
    told = batch.join(content, on=["source", "file_sha256"], how="left").join(
        place, on=["source", "file"], how="left"
    )
    new = told.where(F.col("read_in").isNull() | (F.col("replaced_in") > F.col("read_in")))
    first = new.groupBy("source", "file_sha256").agg(F.min("file").alias("file"))
    return new.join(first, on=["source", "file_sha256", "file"], how="left_semi").select(*batch.columns)
