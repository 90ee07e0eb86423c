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
    """The files whose path and content are not in `bronze.landing_file` yet."""
    return files.join(seen, on=["source", "file", "file_sha256"], how="left_anti")
