"""One JVM for all processes of the suite: Spark's 20,000 classes are loaded, and what is called often is compiled, once."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from pyspark import SparkConf, SparkContext
from pyspark.sql import SparkSession

from medlake.doors import session

WHERE = "MEDLAKE_TESTS_JVM"  # not PySpark's own variables: what tests submit starts JVMs of its own


def share(choices: Mapping[str, str], log: Path) -> SparkSession:
    """Start the session and tell the processes to come where its JVM listens. The JVM ends with this process.

    `log`: where it writes what it would say on the terminal.
    """
    with _speaking_into(log):
        running = session.start("medlake tests", choices)
    gateway = running.sparkContext._gateway
    assert gateway is not None
    os.environ[WHERE] = f"{gateway.gateway_parameters.port} {gateway.gateway_parameters.auth_token}"
    return running


def join(choices: Mapping[str, str]) -> SparkSession:
    """A session of this process in the JVM that another one shares: settings, views and tables of its own."""
    port, secret = os.environ[WHERE].split()
    os.environ.update(PYSPARK_GATEWAY_PORT=port, PYSPARK_GATEWAY_SECRET=secret)
    try:
        SparkContext._ensure_initialized()
    finally:
        del os.environ["PYSPARK_GATEWAY_PORT"], os.environ["PYSPARK_GATEWAY_SECRET"]
    jvm = SparkContext._jvm
    assert jvm is not None
    shared = jvm.org.apache.spark.SparkContext.getOrCreate()
    context = SparkContext(conf=SparkConf(_jconf=shared.getConf()), jsc=jvm.JavaSparkContext(shared))
    SparkSession(context, SparkSession._get_j_spark_session_class(jvm)(shared, {}))  # PySpark keeps it: `start` joins it
    return session.start("medlake tests", choices)


@contextmanager
def _speaking_into(log: Path) -> Iterator[None]:
    """What is started inside has the file for its output."""
    kept = os.dup(1), os.dup(2)
    try:
        with log.open("wb") as out:
            os.dup2(out.fileno(), 1)
            os.dup2(out.fileno(), 2)
        yield
    finally:
        for stream, own in enumerate(kept, start=1):
            os.dup2(own, stream)
            os.close(own)
