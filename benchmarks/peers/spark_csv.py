"""Spark's own CSV reader with inference, to Delta."""

from __future__ import annotations

from pathlib import Path

from medlake_lake import start
from pyspark.sql import SparkSession
from serve import serve


def run(spark: SparkSession, data: Path, out: Path) -> None:
    for path in sorted(data.glob("*.csv")):
        table = spark.read.csv(str(path), header=True, inferSchema=True, multiLine=False)
        table.write.format("delta").save(str(out / path.stem))


def count(spark: SparkSession, data: Path, out: Path) -> int:
    return sum(spark.read.format("delta").load(str(out / path.stem)).count() for path in data.glob("*.csv"))


if __name__ == "__main__":
    serve(start, run, count)
