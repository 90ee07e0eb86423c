"""Which version of a resource is the valid one: the newest, whatever the order in which they came; none after a deletion."""

from __future__ import annotations

from functools import reduce

import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from tests.tables import rows

from medlake.sources.declared import declared
from medlake.sources.views import fhir_views

SOURCE = declared("north", {"format": "fhir"}, {}, {})
CASES = {
    "a newer version wins": ("""
        batch | version_id | last_updated        | says | is_deleted
        1     | 1          | 2024-01-01T00:00:00 | old  | false
        2     | 2          | 2024-02-01T00:00:00 | new  | false
    """, "new"),
    "an older one that comes later never overwrites": ("""
        batch | version_id | last_updated        | says | is_deleted
        1     | 2          | 2024-02-01T00:00:00 | new  | false
        2     | 1          | 2024-01-01T00:00:00 | old  | false
    """, "new"),
    "versions count as numbers": ("""
        batch | version_id | last_updated | says | is_deleted
        1     | 10         | null         | ten  | false
        2     | 9          | null         | nine | false
    """, "ten"),
    "without version and time the later batch wins": ("""
        batch | version_id | last_updated | says   | is_deleted
        2     | null       | null         | second | false
        1     | null       | null         | first  | false
    """, "second"),
    "a resource that tells its time is newer than one that does not": ("""
        batch | version_id | last_updated        | says   | is_deleted
        1     | 1          | 2024-01-01T00:00:00 | dated  | false
        2     | 1          | null                | silent | false
    """, "dated"),
    "a deletion takes it away": ("""
        batch | version_id | last_updated        | says | is_deleted
        1     | 1          | 2024-01-01T00:00:00 | old  | false
        2     | null       | null                | null | true
    """, None),
    "a deletion in the batch that brings it takes it away": ("""
        batch | version_id | last_updated        | says | is_deleted
        1     | 1          | 2024-01-01T00:00:00 | old  | false
        1     | null       | null                | null | true
    """, None),
    "what comes after a deletion stands": ("""
        batch | version_id | last_updated        | says  | is_deleted
        1     | null       | null                | null  | true
        2     | 1          | 2024-01-01T00:00:00 | again | false
    """, "again"),
    "a history that deletes and brings back": ("""
        batch | version_id | last_updated        | says  | is_deleted
        1     | 1          | 2024-01-01T00:00:00 | old   | false
        1     | null       | 2024-02-01T00:00:00 | null  | true
        1     | 3          | 2024-03-01T00:00:00 | again | false
    """, "again"),
    "a history that deletes at last": ("""
        batch | version_id | last_updated        | says | is_deleted
        1     | 1          | 2024-01-01T00:00:00 | old  | false
        1     | null       | 2024-02-01T00:00:00 | null | true
    """, None),
    "an old deletion that comes late": ("""
        batch | version_id | last_updated        | says | is_deleted
        1     | 2          | 2024-03-01T00:00:00 | new  | false
        2     | null       | 2024-02-01T00:00:00 | null | true
    """, "new"),
    "a dated deletion of a resource without time": ("""
        batch | version_id | last_updated        | says | is_deleted
        1     | 1          | null                | old  | false
        2     | null       | 2024-02-01T00:00:00 | null | true
    """, None),
    "a dated deletion, and then a resource without time": ("""
        batch | version_id | last_updated        | says  | is_deleted
        1     | null       | 2024-02-01T00:00:00 | null  | true
        2     | 1          | null                | again | false
    """, "again"),
}  # fmt: skip


@pytest.fixture(scope="module")
def valid(spark: SparkSession) -> dict[str, str]:
    """What the view holds of each case: all of them lie in one lake, each with a twin in another source."""
    parts = []
    for case, (text, _) in CASES.items():
        told = rows(spark, "bronze.fhir_resource", text).withColumn("resource_id", F.lit(case))
        parts.append(told.withColumn("row", F.lit(len(parts))))
    lake = reduce(DataFrame.unionByName, parts).withColumns({
        "source": F.lit("north"), "source_table": F.lit("Basic"), "file": F.concat(F.lit("f"), "batch"), "file_sha256": F.lit("x"),
        "row": F.col("row").cast("bigint"), "resource_type": F.lit("Basic"),
        "json": F.when(~F.col("is_deleted"), F.to_json(F.struct(F.col("resource_id").alias("id"), "says"))),
    })  # fmt: skip
    twins = {"source": F.lit("elsewhere"), "last_updated": F.lit("2030-01-01").cast("timestamp"), "json": F.lit("{}")}
    view = fhir_views(lake.unionByName(lake.withColumns(twins)), SOURCE, {"Basic": "id string, says string"})["Basic"]
    found = view.select("id", "says").collect()
    assert len({row["id"] for row in found}) == len(found)
    return {row["id"]: row["says"] for row in found}


@pytest.mark.parametrize("case", CASES)
def test_the_valid_version(valid: dict[str, str], case: str) -> None:
    assert valid.get(case) == CASES[case][1]
