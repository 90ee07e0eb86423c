"""Small nights: a night that is run again, a killed one, a source nobody has seen, two runs at once."""

from __future__ import annotations

from pathlib import Path

import pytest
from pyspark.sql import SparkSession
from tests.nights import SmallNight, conf_of, contents, kill_in, like_a_night, start_night

from medlake.doors.lake import Lake
from medlake.doors.ledger import Lease
from medlake.grammar.errors import BusyError
from medlake.steps.runner import Options, Runner

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("small nights")]
STEPS = ["ingest", "link", "build", "features", "cluster", "associate", "train", "report"]


@pytest.mark.long
def test_a_night_killed_in_eight_steps_ends_with_the_same_rows(spark: SparkSession, whole_small_night: SmallNight, tmp_path: Path) -> None:
    """One that is killed in the middle of silver, on a cluster, is in the suite that runs every time."""
    assert killed_in(STEPS, spark, tmp_path / "lake", whole_small_night.home) == whole_small_night.held


def test_a_night_run_again_from_its_start_changes_no_row(spark: SparkSession, small_night: SmallNight) -> None:
    """Every step up to silver does its work again; test_golden_night.py has all steps."""
    home, steps = small_night.home, ("ingest", "link", "build")
    options = Options(conf=home / "conf", lake=home / "lake", landing=home / "landing", from_step="ingest")
    assert Runner(options).steps(*steps) == 0
    assert contents(spark, home / "lake") == small_night.held
    last = Lake(spark, home / "lake").read("ops.run").orderBy("started_at", ascending=False).limit(len(steps)).collect()
    assert [row["step"] for row in last] == list(reversed(steps))
    assert {row["status"] for row in last} == {"done"} and sum(row["rows_changed"] for row in last) == 0


def killed_in(steps: list[str], spark: SparkSession, lake: Path, home: Path) -> dict[str, tuple[int, int]]:
    """What a lake holds after a night of the home's conf that was killed in each of the steps and started again."""
    landing, conf = home / "landing", home / "conf"
    for step in steps:
        kill_in(lake, step, start_night(lake, landing, conf), 1.5)
    assert start_night(lake, landing, conf).wait() == 0
    killed = {r["step"] for r in Lake(spark, lake).read("ops.task_attempt").where("status = 'killed'").collect()}
    assert killed == set(steps)
    return contents(spark, lake)


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
    like_a_night(tmp_path, "ingest", "link", "build", "audit")
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
