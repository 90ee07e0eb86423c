"""The same night on one machine and on a real cluster: the same rows."""

from __future__ import annotations

from pathlib import Path

import pytest
from pyspark.sql import SparkSession
from tests.cluster.cluster import Cluster
from tests.cluster.night import arguments, night
from tests.deliveries import Hospital
from tests.nights import SmallNight, contents, kill_in

from medlake.doors.lake import Lake

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("hospital")]


def test_exit_codes_come_through_spark_submit(cluster: Cluster, wheel: Path, tmp_path: Path) -> None:
    assert cluster.submit("link", ["--lake", str(tmp_path / "lake"), "--dry-run"], wheel, tmp_path / "log") == 0
    assert cluster.submit("link", ["--nonsense"], wheel, tmp_path / "log") == 2


def test_a_night_on_a_cluster_that_is_killed_and_goes_on_ends_with_the_rows_of_a_local_night(
    spark: SparkSession, cluster: Cluster, wheel: Path, tmp_path: Path, hospital: Hospital
) -> None:
    """HL7, FHIR, tables and images up to silver, killed in the middle of it, for this is in the suite that runs every
    time: groups and rules on a cluster have tests of their own there; the next test has the whole night,
    test_small_nights.py eight kills.
    """
    lake, log = tmp_path / "cluster", tmp_path / "log"
    said = arguments(lake, hospital.first, hospital.folder / "conf")
    kill_in(lake, "build", cluster.start("nightly", said, wheel, log), 5)
    assert cluster.submit("nightly", said, wheel, log) == 0, log.read_text()[-3000:]
    killed = Lake(spark, lake).read("ops.task_attempt").where("status = 'killed'").collect()
    assert [row["step"] for row in killed] == ["build"]
    assert differences(hospital.held, contents(spark, lake)) == {}


@pytest.mark.long
def test_a_night_whose_every_step_is_submitted_ends_with_the_same_rows(
    spark: SparkSession, cluster: Cluster, wheel: Path, tmp_path: Path, small_night: SmallNight
) -> None:
    here, lake = small_night, tmp_path / "cluster"
    assert night(cluster, wheel, lake, here.home / "landing", here.home / "conf") == 0
    assert here.held["gold.feature_matrix"][0] > 0 and here.held["gold.risk_prediction"][0] > 0
    assert differences(here.held, contents(spark, lake)) == {}


def differences(here: dict[str, tuple[int, int]], there: dict[str, tuple[int, int]]) -> dict[str, object]:
    assert all(here[name][0] > 0 for name in ("silver.person", "silver.measurement", "silver.drug_exposure"))
    return {name: (here[name], there[name]) for name in here if here[name] != there[name]}
