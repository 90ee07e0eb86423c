"""The same night on one machine and on a real cluster: the same rows; the code comes out of the wheel."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from pyspark.sql import SparkSession
from tests.cluster.cluster import Cluster
from tests.cluster.night import arguments, night
from tests.nights import SmallNight, contents, kill_in

from medlake.doors.lake import Lake

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("small nights")]

PROBE = '''
import json, sys
from pathlib import Path
import pyarrow as pa
import medlake
from medlake.grammar.contract import promise
from pyspark.sql import SparkSession

def told(batches):
    import os, medlake
    from medlake.grammar.contract import promise
    for _ in batches:
        said = [medlake.__file__, str(len(promise("silver.person").columns)), os.environ["SPARK_EXECUTOR_DIRS"]]
        yield pa.RecordBatch.from_arrays([pa.array([s]) for s in said], names=["file", "columns", "executor"])

spark = SparkSession.builder.config("spark.scheduler.minRegisteredResourcesRatio", "1.0").getOrCreate()
workers = spark.range(0, 4, 1, 4).mapInArrow(told, "file string, columns string, executor string").collect()
driver = {"file": medlake.__file__, "columns": str(len(promise("silver.person").columns))}
said = {"driver": driver, "workers": [row.asDict() for row in workers], "master": spark.sparkContext.master}
Path(sys.argv[1]).write_text(json.dumps(said))
'''


def test_driver_and_workers_run_the_wheel_with_its_promises(cluster: Cluster, wheel: Path, tmp_path: Path) -> None:
    probe, answer = tmp_path / "probe.py", tmp_path / "answer.json"
    probe.write_text(PROBE)
    assert cluster.submit(probe, [str(answer)], wheel, tmp_path / "log") == 0, (tmp_path / "log").read_text()[-3000:]
    said = json.loads(answer.read_text())
    assert said["master"] == cluster.master
    for told in [said["driver"], *said["workers"]]:
        assert f"/{wheel.stem}.zip/medlake/" in told["file"]  # the wheel's bytes under the name workers accept
        assert int(told["columns"]) > 5


def test_exit_codes_come_through_spark_submit(cluster: Cluster, wheel: Path, tmp_path: Path) -> None:
    assert cluster.submit("link", ["--lake", str(tmp_path / "lake"), "--dry-run"], wheel, tmp_path / "log") == 0
    assert cluster.submit("link", ["--nonsense"], wheel, tmp_path / "log") == 2


def test_a_night_on_a_cluster_that_is_killed_and_goes_on_ends_with_the_rows_of_a_local_night(
    spark: SparkSession, cluster: Cluster, wheel: Path, tmp_path: Path, small_night: SmallNight
) -> None:
    """Up to silver and killed in the middle of it, for this is in the suite that runs every time: groups and rules on a
    cluster have tests of their own there; the next test has the whole night, test_small_nights.py eight kills.
    """
    lake, log = tmp_path / "cluster", tmp_path / "log"
    said = arguments(lake, small_night.home / "landing", small_night.home / "conf")
    kill_in(lake, "build", cluster.start("nightly", said, wheel, log), 5)
    assert cluster.submit("nightly", said, wheel, log) == 0, log.read_text()[-3000:]
    killed = Lake(spark, lake).read("ops.task_attempt").where("status = 'killed'").collect()
    assert [row["step"] for row in killed] == ["build"]
    assert differences(small_night, contents(spark, lake)) == {}


@pytest.mark.long
def test_a_night_whose_every_step_is_submitted_ends_with_the_same_rows(
    spark: SparkSession, cluster: Cluster, wheel: Path, tmp_path: Path, whole_small_night: SmallNight
) -> None:
    here, lake = whole_small_night, tmp_path / "cluster"
    assert night(cluster, wheel, lake, here.home / "landing", here.home / "conf") == 0
    assert here.held["gold.feature_matrix"][0] > 0 and here.held["gold.risk_prediction"][0] > 0
    assert differences(here, contents(spark, lake)) == {}


def differences(here: SmallNight, there: dict[str, tuple[int, int]]) -> dict[str, object]:
    assert all(here.held[name][0] > 0 for name in ("silver.person", "silver.measurement", "silver.drug_exposure"))
    return {name: (here.held[name], there[name]) for name in here.held if here.held[name] != there[name]}
