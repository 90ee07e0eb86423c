"""Small nights: a killed one, two runs at once."""

from __future__ import annotations

from pathlib import Path

import pytest
from pyspark.sql import SparkSession
from tests.nights import SmallNight, contents, kill_in, start_night

from medlake.doors.lake import Lake
from medlake.doors.ledger import Lease
from medlake.grammar.errors import BusyError

pytestmark = pytest.mark.slow
STEPS = ["ingest", "link", "build", "features", "cluster", "associate", "train", "report"]


@pytest.mark.long
def test_a_night_killed_in_eight_steps_ends_with_the_same_rows(spark: SparkSession, small_night: SmallNight, tmp_path: Path) -> None:
    """One that is killed in the middle of silver, on a cluster, is in the suite that runs every time."""
    assert killed_in(STEPS, spark, tmp_path / "lake", small_night.home) == small_night.held


def killed_in(steps: list[str], spark: SparkSession, lake: Path, home: Path) -> dict[str, tuple[int, int]]:
    """What a lake holds after a night of the home's conf that was killed in each of the steps and started again."""
    landing, conf = home / "landing", home / "conf"
    for step in steps:
        kill_in(lake, step, start_night(lake, landing, conf), 1.5)
    assert start_night(lake, landing, conf).wait() == 0
    killed = {r["step"] for r in Lake(spark, lake).read("ops.task_attempt").where("status = 'killed'").collect()}
    assert killed == set(steps)
    return contents(spark, lake)


def test_two_runs_on_one_lake_are_one_too_many(tmp_path: Path) -> None:
    first = Lease(tmp_path)
    first.acquire()
    with pytest.raises(BusyError):
        Lease(tmp_path).acquire()
    first.release()
    Lease(tmp_path).acquire()
