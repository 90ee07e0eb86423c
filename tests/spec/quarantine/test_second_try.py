"""What was set aside comes back: sent again corrected, fit by now, or read with another conf; a source that drifts waits."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from delta.tables import DeltaTable
from pyspark.sql import SparkSession
from pyspark.sql import functions as F
from tests.nights import conf_of

from medlake.doors.lake import Lake
from medlake.grammar.errors import QualityGateError, UsageError
from medlake.steps.aside import list_aside, show_aside
from medlake.steps.reconcile import reconcile
from medlake.steps.runner import Options, Runner

pytestmark = pytest.mark.slow
TOML = '[table.people]\nfiles = "people*.csv"\nseparator = ";"\nkey = ["pid"]\n[table.results]\nfiles = "results*.tsv"\nencoding = "{encoding}"\n'
PERSON = "SELECT pid AS person_source_value, born AS year_of_birth FROM people\n"
RESULT = (
    "SELECT who AS person_source_value, code AS measurement_source_value, day AS measurement_datetime,\n"
    "       value AS value_source_value FROM results\n"
)


class World:
    """A landing folder with two hospitals, and a lake."""

    def __init__(self, folder: Path, spark: SparkSession) -> None:
        self.folder, self.spark = folder, spark
        conf_of(folder / "conf")
        for name in ("west", "east"):
            (folder / "conf" / "sources" / name).mkdir(parents=True)
            (folder / "landing" / name).mkdir(parents=True)
            (folder / "conf" / "sources" / name / "person.sql").write_text(PERSON)
            (folder / "conf" / "sources" / name / "measurement.sql").write_text(RESULT)
            self.declare(name, "UTF-8")
        self.options = Options(conf=folder / "conf", lake=folder / "lake", landing=folder / "landing")

    def declare(self, name: str, encoding: str) -> None:
        (self.folder / "conf" / "sources" / name / "source.toml").write_text(TOML.format(encoding=encoding))

    def send(self, file: str, text: str, encoding: str = "utf-8") -> None:
        (self.folder / "landing" / file).write_bytes(text.encode(encoding))

    def steps(self, *names: str) -> int:
        return Runner(self.options).part(*names)

    def retry(self) -> int:
        return Runner(self.options).retry()

    def table(self, name: str):
        return Lake(self.spark, self.folder / "lake").read(name)

    def entries(self) -> dict[str, tuple[str, str | None]]:
        return {r["reason_code"]: (r["status"], r["closed_by"]) for r in self.table("quarantine.record").collect()}


@pytest.fixture(scope="module")
def world(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> World:
    made = World(tmp_path_factory.mktemp("aside"), spark)
    made.send("west/people1.csv", "pid;sex;born\n1;M;1950\n2;F;1960\n3;M\n")
    made.send("west/results1.tsv", "who\tcode\tday\tvalue\n1\tna\t2024-01-02\t139\n9\tna\t2024-01-03\t140\n2\tné\t2024-01-04\t141\n", "cp1252")
    made.send("east/people1.csv", "pid;sex;born\n7;M;1970\n")
    made.send("east/results1.tsv", "who\tcode\tday\tvalue\n7\tna\t2024-01-02\t138\n")
    assert made.steps("ingest", "link", "build") == 0
    return made


def test_1_what_is_set_aside_is_listed_without_its_text(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    assert world.entries() == {"too_few_fields": ("open", None), "encoding": ("open", None), "orphan_person": ("open", None)}
    list_aside(world.options, None, None, "json")
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {(t["source"], t["reason_code"], t["open"], t["closed"]) for t in told} == {
        ("west", "too_few_fields", 1, 0), ("west", "encoding", 1, 0), ("west", "orphan_person", 1, 0),
    }  # fmt: skip
    assert not any("raw" in t or "file" in t for t in told)
    list_aside(world.options, "east", None, "csv")
    assert capsys.readouterr().out.count("\n") == 1  # the header
    list_aside(world.options, None, "encoding", "csv")
    assert capsys.readouterr().out.splitlines()[1].startswith("west,results,bronze.csv_record,encoding,1,0,")


def test_2_one_entry_is_shown_whole_with_a_warning(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    entry = world.table("quarantine.record").where("reason_code = 'too_few_fields'").first()
    show_aside(world.options, entry["record_id"][:12], "json")
    said = capsys.readouterr()
    assert json.loads(said.out)["raw"] == "3;M" and "RESTRICTED" in said.err
    for wrong in ("zzzzzzzz", "abc"):
        with pytest.raises(UsageError, match="quarantine show"):
            show_aside(world.options, wrong, "table")


def test_3_a_file_sent_again_closes_its_entries_and_a_new_column_is_told(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    world.send("west/people1.csv", "pid;sex;born\n1;M;1950\n2;F;1960\n3;M;1980\n4;F\n")
    world.send("west/people2.csv", "pid;sex;born;shoe\n9;M;1990;44\n")
    assert world.steps("ingest") == 0
    assert "west.people brings new columns, kept and not read by any mapping: shoe" in capsys.readouterr().err
    drift = world.table("ops.source_drift").collect()
    assert [(r["source"], r["source_table"], r["column"], r["kind"]) for r in drift] == [("west", "people", "shoe", "new")]
    closed = world.table("quarantine.record").where("reason_code = 'too_few_fields'").collect()
    assert sorted((r["raw"], r["status"]) for r in closed) == [("3;M", "closed"), ("4;F", "open")]
    kept = world.table("bronze.csv_record").where(F.col("record")["shoe"] == "44").count()
    assert kept == 1


def test_4_a_retry_reads_with_todays_conf_and_judges_anew(world: World) -> None:
    before = world.table("quarantine.record").count()
    world.declare("west", "cp1252")
    assert world.retry() == 0
    entries = {(r["reason_code"], r["status"]): r["closed_by"] for r in world.table("quarantine.record").collect()}
    assert entries["encoding", "closed"].startswith("retry")
    assert entries["orphan_person", "closed"].startswith("night")
    assert ("too_few_fields", "open") in entries
    assert world.table("quarantine.record").count() == before  # history stays
    results = {(r["measurement_source_value"], r["value_as_number"]) for r in world.table("silver.measurement").where("source = 'west'").collect()}
    assert results == {("na", 139.0), ("na", 140.0), ("né", 141.0)}
    for name in ("ops.batch_manifest", "ops.table_build"):
        assert world.table(name).where("rows_in <> rows_kept + rows_quarantined + rows_merged").count() == 0
    manifest = world.table("ops.batch_manifest").where("batch = 1 AND source_table = 'results' AND source = 'west'").first()
    assert (manifest["rows_in"], manifest["rows_kept"], manifest["rows_quarantined"]) == (3, 3, 0)


def test_4b_all_that_came_in_is_accounted_for(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    reconcile(world.options, "json")
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert all(t["ok"] == "yes" for t in told)
    assert {(t["stage"], t["table"]) for t in told if t["source"] == "west"} == {
        ("files", ""), ("records", "people"), ("records", "results"), ("silver", "person"), ("silver", "measurement"),
    }  # fmt: skip
    results = next(t for t in told if (t["source"], t["stage"], t["table"]) == ("west", "records", "results"))
    assert (results["came_in"], results["kept"], results["found"]) == (3, 3, 3)


def test_5_a_second_retry_changes_nothing(world: World) -> None:
    before = world.table("quarantine.record").collect()
    assert Runner(world.options).step("retry") == 0
    assert sorted(world.table("quarantine.record").collect()) == sorted(before)
    assert world.table("bronze.csv_record").where("source = 'west' AND source_table = 'results'").count() == 3


def test_6_a_row_that_is_lost_behind_the_ledgers_back_is_found(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    measurements = Lake(world.spark, world.folder / "lake").path("silver.measurement")
    version = DeltaTable.forPath(world.spark, measurements).history(1).first()["version"]
    world.spark.sql(f"DELETE FROM delta.`{measurements}` WHERE value_as_number = 139.0")
    with pytest.raises(QualityGateError, match="1 row"):
        reconcile(world.options, "csv")
    assert "west,silver,measurement,3,3,0,0,2,no" in capsys.readouterr().out
    DeltaTable.forPath(world.spark, measurements).restoreToVersion(version)


def test_7_a_source_that_lacks_a_needed_column_waits_and_the_others_go_on(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    world.send("west/people3.csv", "pid;sex;borne\n5;M;1955\n")
    world.send("east/people2.csv", "pid;sex;born\n8;F;1980\n")
    assert world.steps("ingest") == 4
    said = capsys.readouterr().err
    assert "table people lack the column(s) born (renamed to borne?)" in said and "conf/sources/west" in said
    batch = world.table("bronze.csv_record").agg(F.max("batch")).first()[0]
    assert {r["source"] for r in world.table("bronze.csv_record").where(F.col("batch") == batch).collect()} == {"east"}
    fault = world.table("ops.source_fault").collect()
    assert [(r["source"], r["subject"]) for r in fault] == [("west", "people")]
    assert world.table("ops.source_drift").where("kind = 'missing' AND column = 'born'").count() == 1


def test_8_the_source_goes_on_once_its_file_is_right(world: World) -> None:
    world.send("west/people3.csv", "pid;sex;born\n5;M;1955\n")
    assert world.steps("ingest", "link", "build") == 0
    assert world.table("bronze.csv_record").where(F.col("record")["pid"] == "5").count() == 1
    assert world.table("silver.person").where("source = 'west' AND year_of_birth = 1955").count() == 1
    reconcile(world.options, "json")
