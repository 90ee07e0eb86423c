"""PNG, JPEG and TIFF files → bronze.raster_image: one row per file, decoded whole on the executors.

What a picture shows and whose it is stands elsewhere: in a table of the same source, by the file's name.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql import types as T
from pyspark.sql.pandas.types import to_arrow_schema

from medlake.grammar.isolated import Isolated, NoAnswerError
from medlake.grammar.origin import stands
from medlake.sources.declared import Source
from medlake.sources.picture import extension_differs, inspected
from medlake.sources.reading import STANDS, VERDICT, Refused

PAYLOAD = [
    T.StructField("format", T.StringType(), True),
    T.StructField("width", T.IntegerType(), True),
    T.StructField("height", T.IntegerType(), True),
    T.StructField("channels", T.IntegerType(), True),
    T.StructField("mode", T.StringType(), True),
    T.StructField("bit_depth", T.IntegerType(), True),
    T.StructField("n_frames", T.IntegerType(), True),
    T.StructField("orientation", T.IntegerType(), True),
    T.StructField("extension_differs", T.BooleanType(), True),
    T.StructField("patient_hint", T.StringType(), True),
    T.StructField("said_json", T.StringType(), True),
    T.StructField("byte_size", T.LongType(), True),
    T.StructField("content_sha256", T.StringType(), True),
    T.StructField("pixels_sha256", T.StringType(), True),
]
MAX_RAW_BYTES = 64 * 1024  # of a refused file; the file itself stays in landing
BATCH_ROWS = 64
TIME_LIMIT_S = 20.0  # one file; no file of a hospital needs as long
MEMORY_LIMIT_BYTES = 2 * 1024**3  # beyond what the process holds when it starts


def read_pictures(files: DataFrame, sources: Mapping[str, Source]) -> DataFrame:
    """One row per file: kept (`reason_code` null) or refused whole (reason, detail, raw).

    `files` has the columns of the manifest (`FILE`). `patient_hint` is what the source's `name` pattern finds in the
    file's name. `raw` of a refused file is the base64 of its first 64 KiB.
    """
    schema = T.StructType([*STANDS, *PAYLOAD, *VERDICT])
    arrow = to_arrow_schema(schema)
    patterns = {s.name: re.compile(s.name_pattern) for s in sources.values() if s.name_pattern}

    def run(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        with looking(inspected) as look:
            for batch in batches:
                for part in range(0, batch.num_rows, BATCH_ROWS):
                    listed = batch.slice(part, BATCH_ROWS).to_pylist()
                    rows = [_row(file, look, patterns.get(file["source"])) for file in listed]
                    yield pa.RecordBatch.from_pylist(rows, schema=arrow)

    return files.mapInArrow(run, schema)


def looking(
    work: Callable[[str], dict[str, Any]],
    *,
    time_limit_s: float = TIME_LIMIT_S,
    memory_limit_bytes: int = MEMORY_LIMIT_BYTES,
) -> Isolated[dict[str, Any]]:
    """`work` on one picture after another in a child process; what it refuses is raised here."""
    return Isolated(work, time_limit_s=time_limit_s, memory_limit_bytes=memory_limit_bytes, raises=(Refused,))


def _row(file: dict[str, Any], look: Isolated[dict[str, Any]], pattern: re.Pattern[str] | None) -> dict[str, Any]:
    row = {name: file[name] for name in ("source", "source_table", "file", "file_sha256", "batch")}
    row |= {"row": 0, "row_hash": file["file_sha256"], "byte_size": file["size_bytes"]}
    try:
        found = look(file["uri"])
    except (Refused, NoAnswerError) as fault:
        code, detail = (fault.code, fault.detail) if isinstance(fault, Refused) else ("file_unreadable", str(fault))
        return {**row, "reason_code": code, "detail": detail, "raw": _start(file["uri"])}
    said = pattern.search(file["file"]) if pattern else None
    return {
        **row,
        **found,
        "content_sha256": file["file_sha256"],
        "extension_differs": extension_differs(file["file"], found["format"]),
        "patient_hint": said.group("person_source_value") if said else None,
    }


def _start(uri: str) -> str:
    try:
        with Path(uri).open("rb") as handle:
            return base64.b64encode(handle.read(MAX_RAW_BYTES)).decode("ascii")
    except OSError:
        return ""


def picture_view(bronze: DataFrame, files: DataFrame, source: Source) -> DataFrame:
    """The view `raster_image` of a source: one row per place where a picture now lies.

    A content is read once, wherever it lies: a moved or doubled file is found again by its digest. `file` is the
    path below the source's folder, `file_name` its last part; `image` is the digest of the content.
    """
    mine = files.where(F.col("source") == source.name)
    now = mine.groupBy("file").agg(F.max_by("file_sha256", F.struct("batch", "file_sha256")).alias("file_sha256"))
    pictures = bronze.where(F.col("source") == source.name)
    read = F.struct("batch", "row", "file")
    newest = pictures.groupBy("file_sha256").agg(F.max(read).alias("newest"))
    once = pictures.join(newest, on="file_sha256", how="inner").where(read == F.col("newest"))
    described = once.select(
        "file_sha256", "format", "width", "height", "channels", "mode", "bit_depth", "n_frames", "orientation",
        "extension_differs", "patient_hint", "byte_size", stands(),
    )  # fmt: skip
    return now.join(described, on="file_sha256", how="inner").select(
        F.lit(source.name).alias("source"), "file", F.element_at(F.split("file", "/"), -1).alias("file_name"),
        F.col("file_sha256").alias("image"),
        *[c for c in described.columns if c != "file_sha256"],
    )  # fmt: skip
