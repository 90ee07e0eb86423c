"""A person who is forgotten is in no file of the lake, and does not come back; all others stay as they were."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F
from tests.nights import conf_of, contents

from medlake.doors.access import AccessLog
from medlake.doors.commits import CommitBook
from medlake.doors.lake import Lake
from medlake.doors.settings import Conf, read_key, write_key
from medlake.grammar.errors import UsageError
from medlake.privacy.leak_scan import hits
from medlake.privacy.pseudonym import keyed_hash
from medlake.steps.context import Context
from medlake.steps.forgotten import GONE, entries_left, files_left, records_left
from medlake.steps.runner import Options, Runner
from medlake.steps.whom import whom

pytestmark = pytest.mark.slow

PERSON = (
    "SELECT pid AS person_source_value, born AS birth_date, family AS family_name, given AS given_name, street AS address_line, phone,\n"
    "       ssn AS national_id, 8532 AS gender_concept_id FROM people\n"
)
SAID = (
    "SELECT who AS person_source_value, 'q1' AS observation_source_value, day AS observation_datetime, said AS value_source_value FROM answers\n"
)
TOML = '[table.people]\nfiles = "people*.csv"\nkey = ["pid"]\npatient = "pid"\n[table.answers]\nfiles = "answers*.csv"\npatient = "who"\n'
LETTERS = 'format = "notes"\nfiles = "*.txt"\nname = \'(?P<person_source_value>[^_]+)_(?P<note_date>\\d{8})\\.txt\'\npatient_source = "west"\n'
HEAD = "pid,born,family,given,street,phone,ssn\n"
PEOPLE = {
    "KEY-0001": "KEY-0001,1950-02-03,Zqhidden,Orla,17 Xjlane Street,555-771-0001,971-11-0001",
    "KEY-0002": "KEY-0002,1960-05-06,Bystander,Una,18 Xjother Street,555-772-0002,972-22-0002",
    "KEY-0003": "KEY-0003,1970-07-08,Onlooker,Ida,19 Xjthird Street,555-773-0003,973-33-0003",
}
SECRETS = ("KEY-0001", "Zqhidden", "17 Xjlane Street", "555-771-0001", "971-11-0001", "likes sourdough 4711", "walks at dawn 4712", "EAST-77")
OTHERS = ("KEY-0002", "Bystander", "972-22-0002", "likes rye 4713")


class World:
    """Two hospitals that know one person under two keys, letters, and a lake."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.lake = folder, folder / "lake"
        conf_of(folder / "conf")
        for name in ("west", "east"):
            self._write(f"conf/sources/{name}/source.toml", TOML)
            self._write(f"conf/sources/{name}/person.sql", PERSON)
        self._write("conf/sources/west/observation.sql", SAID)
        self._write("conf/sources/letters/source.toml", LETTERS)
        self.options = Options(conf=folder / "conf", lake=self.lake, landing=folder / "landing")
        self._write("landing/west/people.csv", HEAD + "\n".join(PEOPLE.values()) + "\n")
        self._write("landing/west/answers.csv", "who,day,said\nKEY-0001,2024-03-04,likes sourdough 4711\nKEY-0002,2024-03-05,likes rye 4713\nKEY-0001,not a day,likes sourdough 4711\n")
        self._write("landing/east/people.csv", HEAD + "EAST-77,1950-02-03,Zqhidden,Orla,17 Xjlane Street,555-771-0001,971-11-0001\n")
        self._write("landing/letters/KEY-0001_20240306.txt", "The patient walks at dawn 4712.")
        self._write("landing/letters/KEY-0002_20240307.txt", "The patient sleeps well.")

    def _write(self, file: str, text: str) -> None:
        path = self.folder / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def send(self, file: str, text: str) -> None:
        self._write(f"landing/{file}", text)

    def steps(self, *names: str) -> list[int]:
        return [Runner(self.options).step(name) for name in names]

    def forget(self, key: str, source: str = "west") -> int:
        (self.folder / "who").write_text(key + "\n")
        return Runner(Options(conf=self.options.conf, lake=self.lake, landing=self.options.landing, extra=whom(source, self.folder / "who", None))).forget()

    def found(self, spark: SparkSession, *words: str) -> set[str]:
        files = [(str(p.relative_to(self.lake)), str(p)) for p in self.lake.rglob("*") if p.is_file()]
        patterns = spark.createDataFrame([("it", word) for word in words], "identifier_class string, pattern string")
        told = {r["pattern"] for r in hits(spark.createDataFrame(files, "file string, uri string"), patterns).collect()}
        return told | ({word for word in words if word.isdigit()} & self.numbers())

    def numbers(self) -> set[str]:
        """Every whole number in any Parquet file: ids are no texts there."""
        found: set[str] = set()
        for path in self.lake.rglob("*.parquet"):
            for column in pq.read_table(path).columns:
                if pa.types.is_int64(column.type):
                    found |= {str(n) for n in column.unique().to_pylist()}
        return found


def test_who_was_forgotten_is_known_by_a_hash_alone_under_any_key_of_the_key_file(spark: SparkSession) -> None:
    now, before = bytes(32), bytes(range(32))
    ctx = cast(Context, SimpleNamespace(key=now, retired=(before,), conf=Conf()))
    gone = spark.createDataFrame([("north", "KEY-0001", now), ("north", "KEY-0002", before), ("south", "S-00001", now)], "source string, person_source_value string, by binary")
    named = F.col("source"), F.col("person_source_value")
    hashed = [gone.where(F.col("by") == F.lit(key)).select("source", keyed_hash(key, *named).alias("source_key_hash")) for key in (now, before)]
    stones = hashed[0].unionByName(hashed[1]).localCheckpoint()
    letters = [("notes", f"{key}_20240101.txt", f"sha{i}", 1) for i, key in enumerate(["KEY-0001", "KEY-0002", "KEY-0003", "S-00001"])]
    files = spark.createDataFrame(letters, "source string, file string, file_sha256 string, row long")
    kept = {"KEY-0003_20240101.txt", "S-00001_20240101.txt"}  # another source's key is nobody here
    assert {r["file"] for r in files_left(ctx, files, stones).collect()} == kept
    notes = files.withColumn("record", F.create_map(F.lit("person_source_value"), F.split("file", "_")[0]))
    assert {r["file"] for r in records_left(ctx, notes, "bronze.note_document", stones).collect()} == kept
    refused = files.withColumns({"raw": F.concat(F.lit('{"subject": "Patient/'), F.split("file", "_")[0], F.lit('", "x": ')), "detail": F.lit("torn")})
    told = {r["file_sha256"]: (r["raw"], r["detail"]) for r in entries_left(ctx, refused, stones).collect()}
    assert told["sha0"] == told["sha1"] == (GONE, GONE)
    assert "KEY-0003" in told["sha2"][0] and "S-00001" in told["sha3"][0]


def test_whom_it_is_about_is_never_said_on_the_command_line(tmp_path: Path) -> None:
    (tmp_path / "who").write_text(" KEY-0001 \n")
    assert whom("north", tmp_path / "who", None) == {"source": "north", "key": "KEY-0001"}
    assert whom(None, None, 17) == {"person_id": "17"}
    (tmp_path / "two").write_text("KEY-0001\nKEY-0002\n")
    for source, file, person in (("north", None, None), ("north", tmp_path / "who", 1), (None, None, None), ("north", tmp_path / "two", None), ("north", tmp_path / "none", None)):
        with pytest.raises(UsageError) as said:
            whom(source, file, person)
        assert "KEY-000" not in str(said.value)


@pytest.mark.slow
@pytest.mark.long
def test_nothing_is_left_of_a_person_who_was_forgotten(spark: SparkSession, tmp_path: Path, key_file: Path) -> None:
    world = World(tmp_path)
    world.steps("ingest", "link", "build")
    keys = Lake(spark, world.lake).read("vault.id_vault").where("person_source_value IN ('KEY-0001', 'EAST-77')").collect()
    assert len({r["person_id"] for r in keys}) == 1, "one person under two keys"
    made = {str(v) for r in keys for v in (r["person_id"], r["own_person_id"], r["event_key"], r["source_key_hash"])}
    assert world.found(spark, *SECRETS, *OTHERS) == {*SECRETS, *OTHERS}
    person = keys[0]["person_id"]
    assert Lake(spark, world.lake).read("silver.note").where(f"person_id = {person}").count() == 1

    assert world.forget("KEY-0001") == 0
    left = world.found(spark, *SECRETS, *made, *OTHERS)
    print(f"{len(SECRETS)} identifiers and texts and {len(made)} ids of a person: {len(left - set(OTHERS))} left; {left - set(OTHERS)}")
    tombstones = {r["source_key_hash"] for r in keys}  # they stand in vault.forgotten, and nowhere else
    assert left == {*OTHERS} | tombstones
    assert Lake(spark, world.lake).read("silver.person").count() == 2
    for name in ("note", "observation", "person"):
        assert Lake(spark, world.lake).read(f"silver.{name}").where(f"person_id = {person}").count() == 0
    after = contents(spark, world.lake, "silver")
    log = AccessLog(world.lake, lambda: read_key(key_file))
    assert log.faults(CommitBook(world.lake).access()) == []
    assert '"why": "forget ' in log.path.read_text(), "the proof stays"
    assert CommitBook(world.lake).check() == []

    # what is in the landing folder still, and what comes anew
    world.send("west/people_2.csv", HEAD + PEOPLE["KEY-0001"].replace("Orla", "Orlaith") + "\n" + PEOPLE["KEY-0003"].replace("Ida", "Idalia") + "\n")
    world.send("letters/KEY-0001_20240401.txt", "The patient walks at dawn 4712 again.")
    world.send("west/answers_2.csv", "who,day,said\nKEY-0001,2024-03-04,likes sourdough 4711\nKEY-0001\n")
    world.steps("ingest", "link", "build")
    assert world.found(spark, *SECRETS, "Orlaith", "Idalia") == {"Idalia"}
    now = contents(spark, world.lake, "silver")
    assert now["silver.person"] == after["silver.person"]
    assert world.steps("audit") == [0]
    with pytest.raises(UsageError, match="nobody of this key"):
        world.forget("KEY-9999")


@pytest.mark.slow
@pytest.mark.long
def test_a_lake_with_a_rotated_key_is_one_made_with_that_key(spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_key(tmp_path / "key")
    monkeypatch.setenv("MEDLAKE_KEY_FILE", str(tmp_path / "key"))
    world = World(tmp_path)
    world.steps("ingest", "link", "build")
    lake = Lake(spark, world.lake)
    made = {str(v) for r in lake.read("vault.id_vault").collect() for v in (r["person_id"], r["event_key"], r["source_key_hash"])}
    made |= {str(r["note_id"]) for r in lake.read("silver.note").collect()}
    before = contents(spark, world.lake, "silver")
    assert world.found(spark, *made) == made
    runner = Runner(world.options)
    runner.plans = [plan for plan in runner.plans if plan.step in ("ingest", "link", "build")]
    assert runner.rotate() == 0
    after = contents(spark, world.lake, "silver", "vault")
    assert world.found(spark, *made) == set()
    fresh = Options(conf=world.options.conf, lake=tmp_path / "fresh", landing=world.options.landing)
    for step in ("ingest", "link", "build"):
        Runner(fresh).step(step)
    assert contents(spark, tmp_path / "fresh", "silver", "vault") == after
    assert {n for n in before if before[n] != after[n]} >= {"silver.person", "silver.note", "silver.observation"}
    assert AccessLog(world.lake, lambda: read_key(tmp_path / "key")).faults(CommitBook(world.lake).access()) == []
