"""The processes of the suite: the tests of one module stay in one, for they share its lakes, and some tell a story in
order; all have one JVM.
"""

from __future__ import annotations

import os

import pytest
from pyspark.sql import SparkSession
from tests import jvm

pytestmark = pytest.mark.skipif("PYTEST_XDIST_WORKER" not in os.environ, reason="runs in one process")


def test_a_module_stays_in_one_process(request: pytest.FixtureRequest) -> None:
    """pytest-xdist puts the group after the name of a test; without it, tests are dealt out one by one."""
    assert request.node.nodeid.partition("@")[2], "pytest-xdist takes the groups of tests apart: see the pin of pytest in pyproject.toml"


def test_a_process_has_its_own_session_in_the_jvm_of_all(spark: SparkSession) -> None:
    gateway = spark.sparkContext._gateway
    assert gateway.proc is None and str(gateway.gateway_parameters.port) == os.environ[jvm.WHERE].split()[0]
    assert "PYSPARK_GATEWAY_PORT" not in os.environ, "what a test submits would run in the JVM of the suite"
    other = SparkSession._get_j_spark_session_class(spark._jvm)(spark.sparkContext._jsc.sc(), {})
    spark.range(1).createOrReplaceTempView("of_this_process")
    assert spark.catalog.tableExists("of_this_process")
    assert not other.catalog().tableExists("of_this_process")
