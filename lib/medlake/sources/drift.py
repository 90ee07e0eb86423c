"""Schema drift: what a new file no longer brings, seen in its header before a record of it is taken in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Any

import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql import types as T
from pyspark.sql.pandas.types import to_arrow_schema

from medlake.sources.declared import Source, Table
from medlake.sources.reads import columns_read, needed
from medlake.sources.tables import header_of

MISSING = T.StructType(
    [
        T.StructField("source", T.StringType(), False),
        T.StructField("source_table", T.StringType(), False),
        T.StructField("column", T.StringType(), False),
        T.StructField("perhaps", T.StringType(), True),
    ]
)
# A header may be a line of data; a name in the open zone must look like one.
PLAIN_NAME = r"^[A-Za-z][A-Za-z0-9 _./()%-]{0,63}$"


def missing_columns(files: DataFrame, sources: Mapping[str, Source], *, max_line_bytes: int) -> DataFrame:
    """(source, source_table, column, perhaps, n_files): columns that are needed and that new files do not bring.

    Needed is what the key, `columns` and the mappings name; of a file of deletions only the key. `perhaps`: a column
    of the file with a name much like it. Looked at are separated text and Parquet: a JSON record may leave out
    what is null, and a table without header has no names. A file that cannot be opened is not judged here.
    """
    arrow = to_arrow_schema(MISSING)
    read = {s.name: columns_read(s) for s in sources.values()}
    want = {(s.name, t.name): needed(t, read[s.name][t.name]) for s in sources.values() for t in s.tables}

    def run(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            for file in batch.to_pylist():
                rows = list(_missing(file, sources[file["source"]], want, max_line_bytes))
                yield pa.RecordBatch.from_pylist(rows, schema=arrow)

    told = files.where(F.col("source").isin(list(sources))).mapInArrow(run, MISSING)
    return told.groupBy("source", "source_table", "column").agg(
        F.min("perhaps").alias("perhaps"), F.count("*").alias("n_files")
    )


def _missing(
    file: dict[str, Any], source: Source, want: Mapping[tuple[str, str], tuple[str, ...]], max_bytes: int
) -> Iterator[dict[str, Any]]:
    table = next((t for t in source.tables if t.name == file["source_table"]), None)
    if table is None or not file["size_bytes"]:
        return
    parts = source.sections(file["file"]) if table.section else ()
    try:
        headers = header_of(file["uri"], table, parts, max_bytes)
    except Exception:  # the reader will set the file aside, with its reason
        return
    for part in parts or (table,):
        if part.name in headers or (parts and not file["is_deletion"]):
            wanted = part.key if file["is_deletion"] else want[source.name, part.name]
            yield from _absent(source, part, headers.get(part.name, []), wanted)


def _absent(source: Source, table: Table, header: list[str], wanted: tuple[str, ...]) -> Iterator[dict[str, Any]]:
    brought = {name.casefold(): name for name in header}
    for column in wanted:
        if column.casefold() not in brought:
            near = get_close_matches(column.casefold(), brought, n=1, cutoff=0.7)
            yield {"source": source.name, "source_table": table.name, "column": column,
                   "perhaps": brought[near[0]] if near else None}  # fmt: skip


def new_columns(seen: DataFrame, known: DataFrame) -> DataFrame:
    """(source, source_table, column): columns of tables that are known already which no file brought before.

    A name that does not look like one is given as a digest: it may be a value.
    """
    tables = known.select("source", "source_table").distinct()
    new = seen.join(known, on=["source", "source_table", "column"], how="left_anti")
    withheld = F.concat(F.lit("(withheld "), F.substring(F.sha2("column", 256), 1, 8), F.lit(")"))
    named = F.when(F.col("column").rlike(PLAIN_NAME), F.col("column")).otherwise(withheld)
    told = new.join(tables, on=["source", "source_table"], how="left_semi")
    return told.select("source", "source_table", named.alias("column"))
