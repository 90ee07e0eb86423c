"""Small nights: twice is once, a source nobody has seen, a killed night, bad conf."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest
from pyspark.sql import SparkSession
from tests.nights import SmallNight, conf_of, contents, run_night, start_night

from medlake.doors.lake import Lake
from medlake.doors.ledger import Lease
from medlake.grammar.errors import BusyError

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("small nights")]
STEPS = ["ingest", "link", "build", "features", "cluster", "associate", "train", "report"]


@pytest.fixture
def home(small_night: SmallNight) -> Path:
    return small_night.home


@pytest.fixture
def undisturbed(small_night: SmallNight) -> dict[str, tuple[int, int]]:
    return small_night.held


def test_a_night_run_again_from_its_start_changes_no_row(spark: SparkSession, home: Path, undisturbed) -> None:
    assert run_night(home / "lake", home / "landing", home / "conf", from_step="ingest") == 0
    assert contents(spark, home / "lake") == undisturbed
    last = Lake(spark, home / "lake").read("ops.run").orderBy("started_at", ascending=False).limit(12)
    assert sum(row["rows_changed"] for row in last.collect()) == 0


def test_a_night_without_news_does_nothing(spark: SparkSession, home: Path, undisturbed) -> None:
    assert run_night(home / "lake", home / "landing", home / "conf") == 0
    assert contents(spark, home / "lake") == undisturbed
    second = Lake(spark, home / "lake").read("ops.run").where("night_id = 2")
    quiet = {row["step"] for row in second.where("status = 'unchanged'").collect()}
    assert quiet >= {"link", "build", "features", "cluster", "associate", "train"}


def test_a_night_killed_in_two_steps_ends_with_the_same_rows(spark: SparkSession, small_night: SmallNight, tmp_path: Path) -> None:
    """In the middle of a table and of a fit; without models, for this is in the suite that runs every time."""
    want = small_night.without_models(spark, tmp_path / "conf")
    found = killed_in(["build", "cluster"], spark, tmp_path / "lake", small_night.home / "landing", tmp_path / "conf")
    assert want["silver.person"][0] > 0 and want["gold.cluster_assignment"][0] > 0 and want["gold.association_rule"][0] > 0
    assert {name: found[name] for name in want} == want


@pytest.mark.long
def test_a_night_killed_in_eight_steps_ends_with_the_same_rows(spark: SparkSession, home: Path, undisturbed, tmp_path: Path) -> None:
    assert killed_in(STEPS, spark, tmp_path / "lake", home / "landing", home / "conf") == undisturbed


def killed_in(steps: list[str], spark: SparkSession, lake: Path, landing: Path, conf: Path) -> dict[str, tuple[int, int]]:
    """What a lake holds after a night that was killed in each of the steps and started again."""
    for step in steps:
        night = start_night(lake, landing, conf)
        try:
            _wait_for(lake, step, night)
            time.sleep(1.5)  # well inside the step
        finally:
            os.killpg(night.pid, signal.SIGKILL)
            night.wait()
    assert start_night(lake, landing, conf).wait() == 0
    killed = {r["step"] for r in Lake(spark, lake).read("ops.task_attempt").where("status = 'killed'").collect()}
    assert killed == set(steps)
    return contents(spark, lake)


def _wait_for(lake: Path, step: str, night) -> None:
    """Until the lease says that the step runs."""
    until = time.monotonic() + 600
    while time.monotonic() < until:
        assert night.poll() is None, f"the night ended before step {step}"
        try:
            if f'"step": "{step}"' in (lake / "lease.json").read_text() and str(night.pid) in (lake / "lease.json").read_text():
                return
        except FileNotFoundError:
            pass
        time.sleep(0.05)
    raise AssertionError(f"step {step} did not start")


def test_a_source_that_nobody_has_seen_needs_no_python(spark: SparkSession, tmp_path: Path) -> None:
    conf = conf_of(tmp_path / "conf")
    source = conf / "sources" / "westside"
    source.mkdir(parents=True)
    (source / "source.toml").write_text('[table.leute]\nfiles = "leute*.csv"\nseparator = ";"\nkey = ["pid"]\n\n[table.befunde]\nfiles = "befunde*.tsv"\n')
    (source / "person.sql").write_text(
        "SELECT pid AS person_source_value,\n"
        "       CASE geschl WHEN 'M' THEN 8507 WHEN 'W' THEN 8532 ELSE 0 END AS gender_concept_id,\n"
        "       year(try_to_date(geb, 'yyyy-MM-dd')) AS year_of_birth\nFROM leute\n"
    )
    (source / "measurement.sql").write_text(
        "SELECT wer AS person_source_value, code AS measurement_source_value, tag AS measurement_datetime,\n"
        "       wert AS value_source_value, einheit AS unit_source_value FROM befunde\n"
    )
    landing = tmp_path / "landing" / "westside"
    landing.mkdir(parents=True)
    (landing / "leute1.csv").write_text("pid;geschl;geb\n1;M;1950-03-01\n2;W;1981-07-12\n3;X;\n;M;1990-01-01\n")
    (landing / "befunde.tsv").write_text(
        "wer\tcode\ttag\twert\teinheit\n1\tna\t2024-01-02\t>140,5\tmmol/L\n2\tna\t2024-02-30\t139\tmmol/L\n9\tna\t2024-01-02\t139\tmmol/L\n"
    )
    assert run_night(tmp_path / "lake", tmp_path / "landing", conf) == 0
    lake = Lake(spark, tmp_path / "lake")
    people = {(r["gender_concept_id"], r["year_of_birth"]) for r in lake.read("silver.person").collect()}
    assert people == {(8507, 1950), (8532, 1981), (0, None)}
    result = lake.read("silver.measurement").collect()
    assert [(r["value_as_number"], r["operator"], r["unit_std"]) for r in result] == [(140.5, ">", "mmol/L")]
    codes = {c for r in lake.read("quarantine.record").collect() for c in r["reason_codes"]}
    assert codes == {"key_missing", "type_measurement_datetime", "orphan_person"}


def test_two_runs_on_one_lake_are_one_too_many(tmp_path: Path) -> None:
    first = Lease(tmp_path)
    first.acquire()
    with pytest.raises(BusyError):
        Lease(tmp_path).acquire()
    first.release()
    Lease(tmp_path).acquire()
