"""Pathling: its NDJSON source, encoded into its own Spark schema, to its Delta sink; runs on the Spark it wants."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from serve import serve

CORES = 2


def start() -> Any:
    from pathling import PathlingContext
    from pyspark.sql import SparkSession

    jars = ",".join(str(path) for path in sorted((Path(sys.prefix) / "jars").glob("*.jar")))
    spark = (
        SparkSession.builder.master(f"local[{CORES}]")
        .config("spark.jars", jars)
        .config("spark.driver.memory", "3g")
        .config("spark.driver.extraJavaOptions", "-XX:+UseParallelGC")
        .config("spark.ui.enabled", "false")
        .config("spark.sql.shuffle.partitions", CORES)
        .config("spark.databricks.delta.snapshotPartitions", 2)
        .config("spark.sql.extensions", "io.delta.sql.DeltaSparkSessionExtension")
        .config("spark.sql.catalog.spark_catalog", "org.apache.spark.sql.delta.catalog.DeltaCatalog")
        .getOrCreate()
    )
    return PathlingContext.create(spark, enable_terminology=False)


def run(pathling: Any, data: Path, out: Path) -> None:
    pathling.read.ndjson(str(data)).write.delta(str(out))


def count(pathling: Any, data: Path, out: Path) -> int:
    spark = pathling.spark
    return sum(spark.read.format("delta").load(str(table)).count() for table in out.iterdir() if table.is_dir())


if __name__ == "__main__":
    serve(start, run, count)
