"""Which version of a resource is the valid one: the newest, whatever the order in which they came; none after a deletion."""

from __future__ import annotations

import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F
from tests.tables import assert_rows, rows

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


@pytest.mark.parametrize("case", CASES)
def test_the_valid_version(spark: SparkSession, case: str) -> None:
    text, valid = CASES[case]
    told = rows(spark, "bronze.fhir_resource", text)
    fixed = {
        "source": F.lit("north"), "source_table": F.lit("Basic"), "file": F.concat(F.lit("f"), "batch"), "file_sha256": F.lit("x"),
        "row": F.coalesce(F.monotonically_increasing_id(), F.lit(0)), "resource_type": F.lit("Basic"), "resource_id": F.lit("1"),
        "json": F.when(~F.col("is_deleted"), F.to_json(F.struct("says"))),
    }  # fmt: skip
    others = told.withColumns({**fixed, "source": F.lit("elsewhere"), "last_updated": F.lit("2030-01-01").cast("timestamp")})
    view = fhir_views(told.withColumns(fixed).unionByName(others), SOURCE, {"Basic": "says string"})["Basic"]
    assert_rows(view, "says\n" + (valid or ""))
