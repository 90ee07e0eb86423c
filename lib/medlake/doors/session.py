"""The Spark session: one way to start it, on one machine or against a cluster."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from pyspark import SparkConf, SparkContext
from pyspark.sql import SparkSession

from medlake.doors import shortcuts
from medlake.doors.jars import jar_paths
from medlake.grammar.contract import shipped

# One BLAS/OpenMP thread per task: busy cores are three times slower otherwise.
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")

ALWAYS = (
    {
        "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
        "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.ansi.enabled": "false",  # one value that a mapping cannot cast is null, not the end of its table
        "spark.hadoop.parquet.page.verify-checksum.enabled": "true",  # a flipped bit is found, not read
        "spark.sql.execution.arrow.pyspark.enabled": "true",
        "spark.databricks.delta.schema.autoMerge.enabled": "false",
        "spark.python.worker.faulthandler.enabled": "true",
        # Where in the code each column was made would cost a stack trace, in Java and in Python, for every call.
        "spark.sql.dataFrameQueryContext.enabled": "false",
        "spark.python.sql.dataFrameDebugging.enabled": "false",
        # Before each commit Delta would look up all files of the table, to write them down where its own checks look.
        "spark.databricks.delta.allFilesInCrc.enabled": "false",
    }
    | {f"spark.executorEnv.{name}": value for name, value in ONE_THREAD.items()}
)

GENERATED = {"spark.sql.codegen.wholeStage": "true", "spark.sql.codegen.factoryMode": "FALLBACK"}


def submit_conf(choices: Mapping[str, str]) -> dict[str, str]:
    """Every Spark setting of this lake; what a user's conf chooses comes after what always holds."""
    jars = ",".join(path.as_uri() for path in jar_paths())
    return {**ALWAYS, "spark.jars": jars, "spark.ui.showConsoleProgress": "false", **choices}


def start(app_name: str, choices: Mapping[str, str]) -> SparkSession:
    """Start (or join) the session. Under spark-submit the master and the JARs are already given.

    `choices`: Spark settings from conf/, e.g. {"spark.master": "local[*]"}.
    """
    shortcuts.take()
    os.environ.update(ONE_THREAD)
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)  # else workers take any python3 from PATH
    if choices.get("spark.master", "").startswith("local"):
        os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
    quiet = shipped("conf").joinpath("spark", "log4j2.properties")
    if isinstance(quiet, Path) and quiet.is_file():  # not out of a zip
        os.environ.setdefault("LOG4J_CONFIGURATION_FILE", str(quiet))
    builder = SparkSession.builder.appName(app_name)
    given = _submitted()
    for name, value in submit_conf(choices).items():
        if name not in given:
            builder = builder.config(name, value)
    spark = builder.getOrCreate()
    spark.sparkContext.setLogLevel("ERROR")
    return spark


@contextmanager
def generated_code(spark: SparkSession, *, pays: bool) -> Iterator[None]:
    """Where it `pays`, run the queries inside with generated code, also under a profile that goes without it.

    The choice holds for the whole session: nothing else may run meanwhile that is in a hurry.
    """
    before = {name: spark.conf.get(name) for name in GENERATED} if pays else {}
    try:
        for name in before:
            spark.conf.set(name, GENERATED[name])
        yield
    finally:
        for name, value in before.items():
            spark.conf.set(name, str(value))


def _submitted() -> set[str]:
    """The settings that spark-submit was given: they win over conf/. Empty where Python starts Spark itself."""
    if "PYSPARK_GATEWAY_PORT" not in os.environ:
        return set()
    SparkContext._ensure_initialized()
    return {name for name, _ in SparkConf().getAll()} | {"spark.master", "spark.jars"}
