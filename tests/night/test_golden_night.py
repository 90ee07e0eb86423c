"""The golden nights: samples/night1, the same again, nothing new, then samples/night2; what must hold after each."""

from __future__ import annotations

import csv
import gzip
from pathlib import Path

import pandas as pd
import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F
from tests.nights import ROOT, SAMPLES, conf_of, contents, run_night, run_steps

from medlake.doors.lake import Lake
from medlake.doors.settings import Conf
from medlake.grammar.contract import all_promises, promise
from medlake.steps.runner import Options, Runner, nightly

pytestmark = pytest.mark.slow
PLANTED = list(csv.DictReader((SAMPLES / "planted.csv").open(encoding="utf-8")))


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("golden")


@pytest.fixture(scope="module")
def night1(spark: SparkSession, home: Path) -> Lake:
    """The lake after the first night."""
    assert run_night(home / "lake", SAMPLES / "night1", conf_of(home / "conf")) == 0
    return Lake(spark, home / "lake")


@pytest.fixture(scope="module")
def before(night1: Lake) -> dict[str, set[tuple[int, int, int]]]:
    """Each silver table's people after the first night, with the number and the hash of their rows."""
    return people_of(night1)


@pytest.fixture(scope="module")
def held_after_night1(spark: SparkSession, night1: Lake) -> dict[str, tuple[int, int]]:
    return contents(spark, night1.root)


@pytest.fixture(scope="module")
def night2(spark: SparkSession, home: Path, night1: Lake, before: dict[str, set[tuple[int, int, int]]]) -> Lake:
    """The same lake after the samples' second night, up to silver; whatever asks for it runs after the tests above it."""
    assert run_steps(home / "lake", SAMPLES / "night2", home / "conf", "ingest", "link", "build", "quality", "audit") == 0
    return Lake(spark, home / "lake")


def people_of(lake: Lake) -> dict[str, set[tuple[int, int, int]]]:
    found = {}
    for name in all_promises():
        if name.startswith("silver.") and "person_id" in promise(name).columns:
            rows = lake.read(name)
            hashed = F.sum(F.xxhash64(F.to_json(F.struct(*rows.columns))).cast("decimal(38,0)"))
            told = rows.groupBy("person_id").agg(F.count("*"), hashed)
            found[name] = {(row[0], row[1], int(row[2])) for row in told.collect()}
    return found


class Held:
    """Tables of a lake as they are after a night, each read once: a hundred planted records look into them."""

    def __init__(self, lake: Lake) -> None:
        self.lake = lake
        self._tables: dict[str, pd.DataFrame] = {}

    def __getitem__(self, name: str) -> pd.DataFrame:
        if name not in self._tables:
            self._tables[name] = self.lake.read(name).toPandas()
        return self._tables[name]


@pytest.fixture(scope="module")
def held1(night1: Lake) -> Held:
    return Held(night1)


@pytest.fixture(scope="module")
def held2(night2: Lake) -> Held:
    return Held(night2)


def fate_of(held: Held, plant: dict[str, str]) -> str:
    """'' where the planted record met its fate, else a sentence that says what happened instead."""
    n = int(plant["expected_rows"] or 0)
    if plant["fate"] == "quarantined":
        aside = held["quarantine.record"]
        told = aside["raw"].fillna("") + "\n" + aside["file"].fillna("")
        mine = aside[(aside["source"] == plant["source"]) & told.map(lambda text: plant["needle"] in text)]
        found = mine[mine["reason_codes"].map(lambda codes: plant["code"] in codes)]
        return "" if len(found) else f"not in quarantine as {plant['code']}"
    table = plant["silver_table"]
    if not table:
        return ""
    rows = marked(held, of_person(held, plant, table), plant, table)
    if plant["fate"] in ("flagged", "converted") and plant["code"]:
        rows = rows[rows["qc"].map(lambda flags: plant["code"] in flags)]
    return "" if len(rows) == n else f"{len(rows)} row(s) of silver.{table} where {n} were expected"


def of_person(held: Held, plant: dict[str, str], table: str) -> pd.DataFrame:
    rows = held[f"silver.{table}"]
    if not plant["person_source_value"]:
        return rows
    source = {"pacs": "north", "notes": "north"}.get(plant["source"], plant["source"])
    keys = held["vault.id_vault"]
    mine = keys[(keys["source"] == source) & (keys["person_source_value"] == plant["person_source_value"])]
    return rows[rows["person_id"].isin(mine["person_id"])]


def marked(held: Held, rows: pd.DataFrame, plant: dict[str, str], table: str) -> pd.DataFrame:
    """The person's rows that carry the plant's needle."""
    needle = plant["needle"]
    coded = [c for c in promise(f"silver.{table}").columns if c.endswith("_source_value") and c.split("_")[0] == table.split("_")[0]]
    if table.startswith("imag"):
        uids = held["vault.uid_map"]
        mapped = uids.loc[uids["uid"] == needle, "mapped_uid"]
        own = promise(f"silver.{table}").key[0]
        return rows[rows[own if own.endswith("uid") else "series_uid"].isin(mapped)] if len(mapped) else rows
    if table == "person" and needle:
        return rows[rows["gender_concept_id"].astype(str) == needle]
    if table == "note":
        return rows[rows["source"] == plant["source"]]
    if table in ("death", "visit_occurrence") or not needle or not coded:
        return rows
    return rows[rows[coded[0]] == needle]


@pytest.mark.parametrize("plant", [p for p in PLANTED if p["night"] == "1"], ids=lambda p: p["plant_id"])
def test_each_planted_record_of_night_1_meets_its_fate(held1: Held, plant: dict[str, str]) -> None:
    assert fate_of(held1, plant) == "", plant["why"]


def test_the_counts_add_up_and_no_identifier_left_the_restricted_zone(night1: Lake) -> None:
    scan = night1.read("ops.leak_scan_result").collect()
    assert {row["identifier_class"] for row in scan} >= {"name", "address", "phone", "national_id", "uid", "birth_date"}
    assert sum(row["n_hits"] for row in scan) == 0
    assert all(row["n_planted_found"] == row["n_planted"] > 0 for row in scan)


def test_a_thousand_quality_checks_are_told_and_none_that_blocks_fails(night1: Lake) -> None:
    told = night1.read("ops.dq_check")
    by = {row["status"]: row["count"] for row in told.groupBy("status").count().collect()}
    assert sum(by.values()) >= 1000
    assert by["passed"] >= 300
    assert told.where("blocks").where("status = 'failed'").count() == 0


def test_the_page_is_one_file_that_loads_nothing(night1: Lake) -> None:
    page = (night1.root / "report" / "latest.html").read_text(encoding="utf-8")
    assert "<svg" in page
    assert not any(word in page for word in ('src="http', "url(http", "@import", "<link"))


def test_the_models_on_the_public_tables_are_as_good_as_published(night1: Lake) -> None:
    metrics = {(r["task"], r["model"], r["metric"]): r["value"] for r in night1.read("gold.model_evaluation").collect()}
    assert metrics["breast_cancer", "linear_svm", "accuracy"] >= 0.95
    # The folds hang on the key of the pseudonyms: over keys the forest's AUROC spreads by 0.005 around 0.81. On the
    # fixed folds of tests/spec/models it must reach 0.80.
    assert metrics["diabetes_progression", "random_forest", "auroc"] >= 0.79
    assert metrics["diabetes_progression", "linear_svm", "auroc"] >= 0.80


def test_north_and_south_meet_in_the_registry(night1: Lake) -> None:
    truth = [r for r in csv.DictReader((SAMPLES / "truth.csv").open(encoding="utf-8")) if r.get("night", "1") == "1"]
    keys = {(r["source"], r["person_source_value"]): r["person_id"] for r in night1.read("vault.id_vault").collect()}
    columns = list(truth[0])
    north, south = columns[0], columns[1]
    together = sum(keys["north", row[north]] == keys["south", row[south]] for row in truth)
    linked = night1.read("vault.person_link").where("left_source <> right_source").count()
    assert together == len(truth) == linked


@pytest.mark.long
def test_a_night_run_again_from_its_start_changes_no_row(spark: SparkSession, home: Path, night1: Lake, held_after_night1) -> None:
    makes_no_row = ("quality", "report", "audit")
    steps = [plan.step for plan in nightly(Conf(home / "conf")) if plan.step not in makes_no_row]
    options = Options(conf=home / "conf", lake=home / "lake", landing=SAMPLES / "night1", from_step="ingest")
    assert Runner(options).steps(*steps) == 0
    assert contents(spark, night1.root) == held_after_night1
    last = night1.read("ops.run").orderBy("started_at", ascending=False).limit(len(steps))
    assert sum(row["rows_changed"] for row in last.collect()) == 0


def test_a_night_without_news_does_nothing(home: Path, night1: Lake) -> None:
    made = [name for name in all_promises() if name.startswith(("silver.", "gold."))]
    versions = {name: night1.version(name) for name in made}
    assert run_night(home / "lake", SAMPLES / "night1", home / "conf") == 0
    assert {name: night1.version(name) for name in made} == versions  # not written at all
    second = night1.read("ops.run").where("night_id = 2")
    quiet = {row["step"] for row in second.where("status = 'unchanged'").collect()}
    assert quiet >= {"link", "build", "features", "cluster", "associate", "train"}


@pytest.mark.parametrize("plant", [p for p in PLANTED if p["night"] == "2"], ids=lambda p: p["plant_id"])
def test_each_planted_record_of_night_2_meets_its_fate(held2: Held, plant: dict[str, str]) -> None:
    assert fate_of(held2, plant) == "", plant["why"]


def test_night_2_changes_rows_of_the_people_it_names_alone(night2: Lake, before: dict[str, set[tuple[int, int, int]]]) -> None:
    after = people_of(night2)
    touched = {person for name in after for person, _, _ in before[name] ^ after[name]}
    keys: dict[int, set[str]] = {}
    for row in night2.read("vault.id_vault").select("person_id", "own_person_id", "person_source_value").collect():
        for person in (row["person_id"], row["own_person_id"]):
            keys.setdefault(person, set()).add(row["person_source_value"])
    landed = [path for path in (SAMPLES / "night2").rglob("*") if path.is_file()]
    news = "\n".join(path.name + gzip.decompress(path.read_bytes()).decode() if path.suffix == ".gz" else path.name + path.read_bytes().decode("latin-1") for path in landed)
    strangers = {person for person in touched if not any(key in news for key in keys.get(person, ()))}
    assert touched and strangers == set()
    assert len(touched) < len({person for person, _, _ in after["silver.person"]}) / 10


def test_the_ledger_of_all_nights_adds_up(night2: Lake) -> None:
    runs = night2.read("ops.run")
    assert runs.where("rows_in <> rows_kept + rows_quarantined + rows_merged").count() == 0
    steps = {(r["night_id"], r["step"]) for r in runs.where("status in ('done', 'unchanged')").collect()}
    assert {night for night, _ in steps} == {1, 2, 3}


def test_the_last_night_tells_the_first_ones_figures_beside_its_own(night2: Lake) -> None:
    told = night2.read("ops.dq_check").where("night_id = 3")
    assert told.count() == told.where("percent_before IS NOT NULL").count() >= 1000


def test_the_samples_are_where_the_readme_says(home: Path) -> None:
    assert (ROOT / "samples" / "README.md").is_file()
