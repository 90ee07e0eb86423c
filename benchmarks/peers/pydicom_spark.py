"""The same pydicom row by row in Spark (mapInArrow over the paths), written as one Delta table."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
from medlake_lake import CORES, start
from pydicom_header import arrow_schema, quiet, row
from pyspark.sql import SparkSession
from pyspark.sql.pandas.types import from_arrow_schema
from serve import serve

BATCH_ROWS = 256


def told(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    quiet()
    schema = arrow_schema()
    for batch in batches:
        paths = batch.column(0).to_pylist()
        for start_at in range(0, len(paths), BATCH_ROWS):
            rows = [row(path) for path in paths[start_at : start_at + BATCH_ROWS]]
            yield pa.RecordBatch.from_pylist(rows, schema=schema)


def run(spark: SparkSession, data: Path, out: Path) -> None:
    paths = [(str(path),) for path in sorted(data.rglob("*.dcm"))]
    files = spark.createDataFrame(paths, "path string").repartition(CORES * 4)
    table = files.mapInArrow(told, from_arrow_schema(arrow_schema()))
    table.write.format("delta").save(str(out / "instance"))


def count(spark: SparkSession, data: Path, out: Path) -> int:
    return int(spark.read.format("delta").load(str(out / "instance")).count())


if __name__ == "__main__":
    here = str(Path(__file__).parent)
    sys.path.insert(0, here)
    serve(start, run, count)
