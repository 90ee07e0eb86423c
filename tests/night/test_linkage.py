"""Two hospitals' people linked by weights too, night after night, with a reviewer who disagrees."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path

import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F
from tests.nights import SAMPLES, conf_of, run_steps

from medlake.cli import app, guarded
from medlake.doors.lake import Lake
from medlake.steps.review import known_pairs

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def home(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ingest and link of north and south, weights on."""
    home = tmp_path_factory.mktemp("linkage")
    for source in ("north", "south"):
        shutil.copytree(SAMPLES / "night1" / source, home / "landing" / source)
    conf_of(home / "conf", "[link]\nprobabilistic = true\n")
    assert run_steps(home / "lake", home / "landing", home / "conf", "ingest", "link") in (0, 4)
    return home


def linked_across(lake: Lake) -> set[tuple[str, str]]:
    """(north's key, south's key) of keys that are one person."""
    keys = lake.read("vault.id_vault")
    north, south = (keys.where(F.col("source") == s).select("person_id", F.col("person_source_value").alias(s)) for s in ("north", "south"))
    return {(r["north"], r["south"]) for r in north.join(south, on="person_id").collect()}


def truth() -> set[tuple[str, str]]:
    rows = csv.DictReader((SAMPLES / "truth.csv").open(encoding="utf-8"))
    return {(r["north_person_source_value"], r["south_person_source_value"]) for r in rows if r["night"] == "1"}


def test_every_person_of_both_hospitals_is_found_and_nobody_else(spark: SparkSession, home: Path) -> None:
    found = linked_across(Lake(spark, home / "lake"))
    assert found <= truth(), "precision 1.0"
    assert len(found & truth()) / len(truth()) >= 0.95


def test_the_weights_alone_find_them_too(spark: SparkSession, home: Path) -> None:
    scores = Lake(spark, home / "lake").read("vault.link_score").where("left_source <> right_source")
    linked = {(r["left_key"], r["right_key"]) for r in scores.where("decision = 'linked'").collect()}
    assert linked <= truth() and len(linked) / len(truth()) >= 0.85


def run(home: Path, *command: str) -> int:
    folders = ["--conf", str(home / "conf"), "--lake", str(home / "lake")]
    landing = ["--landing", str(home / "landing")] if "list" not in command and "show" not in command else []
    return guarded(lambda: app([*command, *folders, *landing]))


def test_a_reviewer_wins_and_nothing_new_is_compared_twice(
    spark: SparkSession, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lake = Lake(spark, home / "lake")
    before = {(r["source"], r["person_source_value"]): r["person_id"] for r in lake.read("vault.id_vault").collect()}
    pairs = known_pairs(lake).where("rule IN ('name_birth', 'national_id_birth') AND left_source <> right_source")
    pair = pairs.orderBy("pair").first()
    assert run(home, "link", "review", "reject", pair["pair"], "--reason", "two people", "--by", "ann") == 0
    assert "0 new or changed records to compare" in capsys.readouterr().err
    ends = [(pair[f"{side}_source"], pair[f"{side}_key"]) for side in ("left", "right")]
    after = {(r["source"], r["person_source_value"]): r["person_id"] for r in lake.read("vault.id_vault").collect()}
    assert before[ends[0]] == before[ends[1]] and after[ends[0]] != after[ends[1]]
    assert {k: v for k, v in after.items() if k not in ends} == {k: v for k, v in before.items() if k not in ends}
    assert before[ends[0]] in (after[ends[0]], after[ends[1]]), "one of the two keeps the id"
    event = lake.read("vault.link_event").first()
    assert event["kind"] == "split" and event["n_keys"] == 1
    assert run(home, "link") == 0, "a later night changes nothing about it"
    assert {(r["source"], r["person_source_value"]): r["person_id"] for r in lake.read("vault.id_vault").collect()} == after
    assert run(home, "link", "review", "accept", pair["pair"]) == 0
    back = {(r["source"], r["person_source_value"]): r["person_id"] for r in lake.read("vault.id_vault").collect()}
    assert back == before, "the older id again: none is ever reused for somebody else"
    assert lake.read("vault.link_review").count() == 2


def test_the_list_names_nobody_and_the_pair_both(home: Path, spark: SparkSession, capsys: pytest.CaptureFixture[str]) -> None:
    lake = Lake(spark, home / "lake")
    pair = known_pairs(lake).where("left_source <> right_source").orderBy("pair").first()
    name = lake.read("vault.identity").where(F.col("person_source_value") == pair["left_key"]).first()["family_name"]
    assert run(home, "link", "review", "list", "all", "--format", "csv") == 0
    told = capsys.readouterr().out
    assert pair["pair"] in told and pair["left_key"] not in told and name not in told
    assert run(home, "link", "review", "show", pair["pair"]) == 0
    shown = capsys.readouterr()
    assert name in shown.out and "RESTRICTED" in shown.err
