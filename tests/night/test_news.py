"""A build of what is new leaves the lake as a build of everything does, whatever came in."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F
from tests.nights import conf_of, contents, run_steps

from medlake.doors.lake import Lake
from medlake.grammar.contract import promise
from medlake.steps.runner import Options, Runner

pytestmark = pytest.mark.slow
STEPS = ("ingest", "link", "build")
WEST = {  # new records cost only their patients
    "source.toml": """
[table.leute]
files = "leute*.csv"
key = ["pid"]
patient = "pid"
deletes = "weg*.csv"
[table.befunde]
files = "befunde*.csv"
key = ["nr"]
patient = "pid"
""",
    "person.sql": "SELECT pid AS person_source_value, name AS family_name, vorname AS given_name, geb AS birth_date, 8507 AS gender_concept_id FROM leute",
    "measurement.sql": "SELECT nr AS event_source_value, pid AS person_source_value, code AS measurement_source_value, tag AS measurement_datetime, wert AS value_source_value FROM befunde",
}
EAST = {  # says nothing of patients: one new record, and all of it is looked at
    "source.toml": """
[table.people]
files = "people*.csv"
key = ["id"]
[table.codes]
files = "codes*.csv"
key = ["code"]
[table.diagnoses]
files = "diagnoses*.csv"
key = ["nr"]
""",
    "person.sql": "SELECT id AS person_source_value, last AS family_name, first AS given_name, born AS birth_date, 8532 AS gender_concept_id FROM people",
    "condition_occurrence.sql": """SELECT nr AS event_source_value, id AS person_source_value, c.meaning AS condition_source_value, day AS condition_start_datetime
FROM diagnoses d LEFT JOIN codes c ON c.code = d.code""",
}
FHIR = {"source.toml": 'format = "fhir"\n'}
LETTERS = {"source.toml": """format = "notes"
files = "*.txt"
name = '(?P<person_source_value>[^_]+)_(?P<note_date>\\d{8})_(?P<note_title>[^.]+)\\.txt'
patient_source = "west"
"""}
NAMES = ("Abendroth", "Brinkmann", "Czerny", "Dietrich")


def conf(folder: Path) -> Path:
    made = conf_of(folder)
    for name, texts in {"west": WEST, "east": EAST, "fhir": FHIR, "letters": LETTERS}.items():
        (made / "sources" / name).mkdir(parents=True)
        for file, text in texts.items():
            (made / "sources" / name / file).write_text(text)
    return made


def csv(path: Path, header: str, rows: list[tuple[object, ...]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(header + "\n" + "".join(",".join(map(str, row)) + "\n" for row in rows))


def arrive(landing: Path, n: int, draw: random.Random) -> None:
    """The files of the n-th delivery: new, corrected, deleted, orphaned, broken, about one person in two sources."""
    def people(ids: list[int]) -> list[tuple[object, ...]]:
        return [(i, NAMES[i % 4], f"Vor{i}", f"19{40 + i}-03-{1 + draw.randrange(9):02}") for i in ids]

    some = [draw.randrange(20) for _ in range(3)] if n else list(range(12))
    csv(landing / "west" / f"leute{n}.csv", "pid,name,vorname,geb", people(sorted(set(some))))
    results = [(draw.randrange(60), draw.choice([*some, 30 + n]), "4548-4", f"2024-0{1 + n}-11", draw.choice(["7,1", "x", "<5", 6])) for _ in range(12 if n else 50)]
    csv(landing / "west" / f"befunde{n}.csv", "nr,pid,code,tag,wert", list({r[0]: r for r in results}.values()))
    if n == 2:
        csv(landing / "west" / "weg2.csv", "pid,name,vorname,geb", people([3]))
    (landing / "letters").mkdir(parents=True, exist_ok=True)
    (landing / "letters" / f"{some[0]}_2024010{1 + n}_letter.txt").write_text(f"Vor{some[0]} {NAMES[some[0] % 4]} came again.")
    if n != 1:  # the second delivery leaves the east alone
        csv(landing / "east" / f"people{n}.csv", "id,last,first,born", people([0, 1, 5] if not n else [7, 8]))
        csv(landing / "east" / f"diagnoses{n}.csv", "nr,id,code,day", [(100 * n + i, i, "a", "2023-05-05") for i in (0, 1, 8, 9)])
        csv(landing / "east" / f"codes{n}.csv", "code,meaning", [("a", f"I1{n}")])
    bundle = []
    for i in sorted({0, *(draw.randrange(8) for _ in range(3 if n else 12))}):
        bundle.append({"resourceType": "Patient", "id": f"f{i}", "gender": "male", "birthDate": f"19{40 + i}-03-04", "name": [{"family": NAMES[i % 4], "given": [f"Vor{i}"]}], "meta": {"versionId": str(n)}})
        bundle.append({"resourceType": "Observation", "id": f"o{i}", "status": "final", "subject": {"reference": f"Patient/f{draw.randrange(9)}"},
                       "code": {"coding": [{"system": "http://loinc.org", "code": "4548-4"}]}, "effectiveDateTime": f"2024-02-1{n}", "valueQuantity": {"value": draw.randrange(9), "unit": "%"}, "meta": {"versionId": str(n)}})
        bundle.append({"resourceType": "MedicationRequest", "id": f"m{i}", "status": "active", "subject": {"reference": f"Patient/f{i}"}, "authoredOn": "2024-02-02", "medicationReference": {"reference": "Medication/d"}})
    if n in (0, 2):  # the one drug that all prescriptions name changes its code
        bundle.append({"resourceType": "Medication", "id": "d", "meta": {"versionId": str(n)}, "code": {"coding": [{"system": "rx", "code": f"c{n}"}]}})
    (landing / "fhir" / "deleted").mkdir(parents=True, exist_ok=True)
    (landing / "fhir" / f"all{n}.ndjson").write_text("".join(json.dumps(r) + "\n" for r in bundle) + "{broken\n")
    if n == 1:
        gone = {"resourceType": "Bundle", "type": "transaction", "entry": [{"request": {"method": "DELETE", "url": "Observation/o0"}}]}
        (landing / "fhir" / "deleted" / "gone.ndjson").write_text(json.dumps(gone) + "\n")


def told(spark: SparkSession, lake: Path) -> dict[str, object]:
    """Silver, what is set aside now, and the counts of the last build."""
    at = Lake(spark, lake)
    aside = at.read("quarantine.record").where("status = 'open'").select("record_id").orderBy("record_id").collect()
    counts = at.read("ops.table_build").drop("night_id").orderBy("table", "source").collect()
    results = at.read("ops.dq_result").drop("night_id").orderBy("table", "rule").collect()
    return {**contents(spark, lake, "silver"), "aside": aside, "counts": counts, "results": results}


@pytest.mark.long
def test_what_is_new_is_built_as_if_all_were(spark: SparkSession, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made, lake, landing = conf(tmp_path / "conf"), tmp_path / "lake", tmp_path / "landing"
    draw = random.Random(4)
    for n in range(4):
        arrive(landing, n, draw)
        run_steps(lake, landing, made, *STEPS)
        partly = told(spark, lake)
        said = capsys.readouterr().err
        assert ("with news are judged again" in said) == (n > 0)
        for name, n_rows in ((p, Lake(spark, lake).read(p).count()) for p in ("silver.measurement", "silver.condition_occurrence", "silver.note")):
            assert Lake(spark, lake).read(name).select(*promise(name).key).distinct().count() == n_rows, name
        if n % 2:  # the others are built upon by the next delivery
            assert Runner(Options(conf=made, lake=lake, landing=landing)).step("build") == 0
            assert told(spark, lake) == partly, f"delivery {n}"
    last = Lake(spark, lake).read("ops.run").where("step = 'build'").orderBy(F.desc("started_at")).first()
    assert last["rows_changed"] == 0


@pytest.mark.long
def test_a_table_that_was_put_back_is_built_anew(spark: SparkSession, tmp_path: Path) -> None:
    made, lake, landing = conf(tmp_path / "conf"), tmp_path / "lake", tmp_path / "landing"
    arrive(landing, 0, random.Random(1))
    run_steps(lake, landing, made, *STEPS)
    arrive(landing, 1, random.Random(2))
    run_steps(lake, landing, made, *STEPS)
    whole = contents(spark, lake, "silver")
    spark.sql(f"RESTORE TABLE delta.`{Lake(spark, lake).path('silver.measurement')}` TO VERSION AS OF 0")
    assert contents(spark, lake, "silver") != whole
    run_steps(lake, landing, made, "build")
    assert contents(spark, lake, "silver") == whole
