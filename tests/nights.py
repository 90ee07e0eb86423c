"""Whole nights for tests: a landing folder, a lake, and what a lake holds as one comparable value."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from medlake.doors.lake import Lake
from medlake.grammar.contract import all_promises
from medlake.steps.runner import Options, Runner

ROOT = Path(__file__).resolve().parents[1]
SAMPLES = ROOT / "samples"
AS_OF = "2026-07-15"  # all nights of the suite count as of one day


def conf_of(folder: Path, text: str = "") -> Path:
    """A user's conf folder that fixes the day (and whatever `text` adds to base.toml)."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "base.toml").write_text(f"as_of = {AS_OF}\n{text}")
    return folder


# What costs most and what other tests are about, where a night is about being killed or about a cluster.
AFTER_FEATURES = ("quality", "cluster", "associate", "train", "score", "evaluate", "report", "audit")
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


def contents(spark: SparkSession, lake: Path, *layers: str) -> dict[str, tuple[int, int]]:
    """Table → (rows, sum of the rows' hashes): equal where two lakes hold the same rows."""
    found = {}
    for name in all_promises():
        if name.partition(".")[0] in (layers or ("silver", "gold")):
            table = Lake(spark, lake).read(name)
            hashed = F.sum(F.xxhash64(F.to_json(F.struct(*table.columns))).cast("decimal(38,0)"))
            row = table.agg(F.count("*").alias("n"), hashed.alias("hash")).first()
            found[name] = (int(row["n"]), int(row["hash"] or 0))
    return found


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
    def run(cls, spark: SparkSession, home: Path, left_out: Collection[str] = ()) -> SmallNight:
        """Run it, without the steps that its conf leaves out."""
        conf = conf_of(home / "conf", FEW_FITS)
        (conf / "nightly.toml").write_text("".join(f"[step.{step}]\nrun = false\n" for step in left_out))
        small_landing(home / "landing")
        assert run_night(home / "lake", home / "landing", conf) == 0
        return cls(home, contents(spark, home / "lake"))
