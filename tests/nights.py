"""Whole nights for tests: a landing folder, a lake, and what a lake holds as one comparable value."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from functools import reduce
from pathlib import Path

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from medlake.doors.lake import Lake
from medlake.doors.ledger import Lease
from medlake.doors.settings import Conf
from medlake.grammar.contract import all_promises
from medlake.steps.runner import Options, Runner

ROOT = Path(__file__).resolve().parents[1]
SAMPLES = ROOT / "samples"
AS_OF = "2026-07-15"  # all nights of the suite count as of one day


# Most tasks of a night in the suite take a few rows; nights on a cluster, which must end with the same, have more of them.
ONE_PARTITION = {"spark.sql.shuffle.partitions": "1", "spark.databricks.delta.snapshotPartitions": "1"}


def conf_of(folder: Path, text: str = "") -> Path:
    """A user's conf folder that fixes the day (and whatever `text` adds to base.toml), with Spark set for few rows."""
    (folder / "spark").mkdir(parents=True, exist_ok=True)
    (folder / "base.toml").write_text(f"as_of = {AS_OF}\n{text}")
    choices = Conf().spark("local") | ONE_PARTITION
    (folder / "spark" / "local.conf").write_text("".join(f"{name} {value}\n" for name, value in choices.items()))
    return folder


# What costs most and what other tests are about, where a night is about being killed, run again or run on a cluster.
AFTER_SILVER = ("quality", "features", "cluster", "associate", "train", "score", "evaluate", "report", "audit")
FEW_FITS = "[train]\nfolds = 2\nbootstrap = 20\n"


def small_landing(folder: Path) -> Path:
    """A landing folder that a night gets through quickly: the southern clinic and the diabetes study."""
    for source in ("south", "diabetes"):
        shutil.copytree(SAMPLES / "night1" / source, folder / source)
    return folder


def run_night(lake: Path, landing: Path, conf: Path, **more: str) -> int:
    """A night in this process, on the suite's Spark session."""
    return Runner(Options(conf=conf, lake=lake, landing=landing, **more)).night()


def start_night(lake: Path, landing: Path, conf: Path) -> subprocess.Popen[bytes]:
    """A night in a process group of its own, to be killed."""
    command = [sys.executable, "-m", "medlake", "night", "--conf", str(conf), "--lake", str(lake)]
    out = (lake.parent / "night.out").open("ab")
    return subprocess.Popen(
        [*command, "--landing", str(landing)], stdout=out, stderr=out, start_new_session=True, env=dict(os.environ)
    )


def kill_in(lake: Path, step: str, night: subprocess.Popen[bytes], seconds: float) -> None:
    """SIGKILL for a night and all it started, some seconds into a step; whatever happens, it does not go on."""
    try:
        _wait_for(lake, step, night)
        time.sleep(seconds)
    finally:
        os.killpg(night.pid, signal.SIGKILL)
        night.wait()


def _wait_for(lake: Path, step: str, night: subprocess.Popen[bytes]) -> None:
    """Until the lease says that the step runs, while the night does."""
    until = time.monotonic() + 600
    while time.monotonic() < until:
        assert night.poll() is None, f"the night ended before step {step}"
        said = Lease(lake).read() or {}  # not yet, or being written
        if said.get("step") == step and _is_of(int(said["pid"]), night.pid):
            return
        time.sleep(0.05)
    raise AssertionError(f"step {step} did not start")


def _is_of(pid: int, group: int) -> bool:
    """Whether a living process belongs to the process group."""
    try:
        return os.getpgid(pid) == group
    except ProcessLookupError:
        return False


def contents(spark: SparkSession, lake: Path, *layers: str) -> dict[str, tuple[int, int]]:
    """Table → (rows, sum of the rows' hashes): equal where two lakes hold the same rows."""
    names = [name for name in all_promises() if name.partition(".")[0] in (layers or ("silver", "gold"))]
    tables = {name: Lake(spark, lake).read(name) for name in names}
    rows = [t.select(F.lit(n).alias("table"), F.xxhash64(F.to_json(F.struct(*t.columns))).alias("hash")) for n, t in tables.items()]
    told = reduce(DataFrame.unionByName, rows).groupBy("table").agg(F.count("*"), F.sum(F.col("hash").cast("decimal(38,0)")))
    return dict.fromkeys(names, (0, 0)) | {name: (n, int(hashed or 0)) for name, n, hashed in told.collect()}


def run_steps(lake: Path, landing: Path, conf: Path, *steps: str) -> int:
    """Some steps of a night in this process, on the suite's Spark session."""
    return Runner(Options(conf=conf, lake=lake, landing=landing)).part(*steps)


def like_a_night(home: Path, *steps: str) -> None:
    """Steps upon what they have done before, in a home of the folders conf, lake and landing; all must end well."""
    assert run_steps(home / "lake", home / "landing", home / "conf", *steps) == 0, steps


def by_name(home: Path, *steps: str) -> None:
    """Steps as a user asks for them one by one, in a home of the folders conf, lake and landing; all must end well."""
    for step in steps:
        assert Runner(Options(conf=home / "conf", lake=home / "lake", landing=home / "landing")).step(step) == 0, step


@dataclass(frozen=True)
class SmallNight:
    """A home with conf, landing and a lake after one undisturbed night, and what its silver and gold hold."""

    home: Path
    held: dict[str, tuple[int, int]]

    @classmethod
    def run(cls, spark: SparkSession, home: Path) -> SmallNight:
        """Run it, with every step."""
        conf = conf_of(home / "conf", FEW_FITS)
        small_landing(home / "landing")
        assert run_night(home / "lake", home / "landing", conf) == 0
        return cls(home, contents(spark, home / "lake"))
