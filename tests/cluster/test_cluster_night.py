"""The same night on one machine and on a real cluster: the same rows; the code comes out of the wheel."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from pyspark.sql import SparkSession
from tests.cluster.cluster import ROOT, Cluster, built_wheel, standalone
from tests.cluster.night import night
from tests.nights import conf_of, contents, run_night, small_landing

pytestmark = pytest.mark.slow

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


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    uv = shutil.which("uv") or str(ROOT / ".cache" / "uv" / "bin" / "uv")
    if Path(uv).is_file():
        command = [uv, "build", "-q", "--wheel", "-o", str(folder)]
    else:
        command = [sys.executable, "-m", "build", "--wheel", "--outdir", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True)
    return built_wheel(folder)


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with standalone() as running:
        yield running


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


def test_a_night_on_a_cluster_ends_with_the_rows_of_a_local_night(
    spark: SparkSession, cluster: Cluster, wheel: Path, tmp_path: Path
) -> None:
    conf, landing = conf_of(tmp_path / "conf"), small_landing(tmp_path / "landing")
    assert run_night(tmp_path / "local", landing, conf) == 0
    assert night(cluster, wheel, tmp_path / "cluster", landing, conf) == 0
    here, there = contents(spark, tmp_path / "local"), contents(spark, tmp_path / "cluster")
    assert {name: (here[name], there[name]) for name in here if here[name] != there[name]} == {}
    assert here["silver.person"][0] > 0 and here["gold.risk_prediction"][0] > 0
