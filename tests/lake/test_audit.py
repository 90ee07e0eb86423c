"""The audit counts again: what a step tells of its rows adds up, and what a build kept is there."""

from __future__ import annotations

from datetime import date
from pathlib import Path

from pyspark.sql import SparkSession
from tests.tables import filled

from medlake.doors.lake import Lake
from medlake.doors.ledger import Night
from medlake.doors.settings import Conf, load
from medlake.steps.audit import count_faults
from medlake.steps.context import Context, Progress

BUILT = """
night_id | table | source | rows_in | rows_kept | rows_quarantined | rows_merged
1        | death | north  | 9       | 9         | 0                | 0
2        | death | north  | 3       | 2         | 1                | 0
2        | death | south  | 2       | 1         | 0                | 1
2        | note  | north  | 2       | 2         | 0                | 0
2        | visit_occurrence | north | 1 | 0      | 1                | 0
"""


def test_a_row_that_is_lost_and_one_that_was_never_counted_are_told(spark: SparkSession, tmp_path: Path) -> None:
    lake, conf = Lake(spark, tmp_path / "lake"), Conf()
    ctx = Context(spark, lake, load(conf, "local", lake=lake.root), conf, Night(2, date(2026, 7, 15)), bytes(32), Progress())
    lake.merge("ops.table_build", filled(spark, "ops.table_build", BUILT))
    lake.merge("silver.death", filled(spark, "silver.death", "person_id\n1\n2\n3"))
    lake.merge("silver.note", filled(spark, "silver.note", "note_id\n1\n2"))
    assert count_faults(ctx) == []
    lake.remove("silver.note", lake.read("silver.note").where("note_id = 1"))
    lake.merge("ops.table_build", filled(spark, "ops.table_build", BUILT.replace("3       | 2         | 1 ", "4       | 2         | 1 ")))
    assert count_faults(ctx) == ["ops.table_build: 1 row(s) do not add up", "silver.note holds 1 rows, its build kept 2"]
