"""The Spark session of the report's specifications."""

from __future__ import annotations

import pytest
from pyspark.sql import SparkSession

from medlake.doors import session


@pytest.fixture(scope="session")
def spark() -> SparkSession:
    """A small local session."""
    return session.start(
        "medlake-tests",
        {
            "spark.master": "local[2]",
            "spark.driver.memory": "2g",
            "spark.sql.shuffle.partitions": "2",
            "spark.databricks.delta.snapshotPartitions": "2",
            "spark.ui.enabled": "false",
        },
    )
