"""Images beside a record system, from the files to silver: each study finds its visit, marks and gaps are told, no name gets out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from pydicom.fileset import FileSet
from pyspark.sql import SparkSession
from pyspark.sql import functions as F
from tests.nights import by_name, conf_of
from tests.spec.imaging.conftest import slice_with

from medlake.doors.lake import Lake
from medlake.steps.reconcile import reconcile
from medlake.steps.runner import Options

pytestmark = pytest.mark.slow

DICOM_UID, ACSN = "urn:dicom:uid", {"coding": [{"code": "ACSN"}]}
STUDIES = {  # study → (patient, day and hour, accession number)
    "2.1": ("p1", "20240111 090000", ""), "2.2": ("p1", "20240301 100000", "ACC2"), "2.3": ("p1", "20240601 100000", ""),
    "2.4": ("p2", "20240111 090000", ""), "2.5": ("p1", "20240702 120000", "ACC5"), "2.6": ("nobody", "20240111 090000", ""),
}  # fmt: skip
SLICES = {"2.1": 4}  # the others have one
LATE = "2.1.1.3"  # the last slice of the first study comes a night later


def reference(kind: str, key: str) -> dict[str, str]:
    return {"reference": f"{kind}/{key}"}


def encounter(key: str, patient: str, start: str, end: str) -> dict[str, Any]:
    return {"resourceType": "Encounter", "id": key, "status": "finished", "class": {"code": "IMP"},
            "subject": reference("Patient", patient), "period": {"start": start, "end": end}}  # fmt: skip


def procedure(key: str, patient: str, at: str, name: str) -> dict[str, Any]:
    return {"resourceType": "Procedure", "id": key, "status": "completed", "subject": reference("Patient", patient),
            "code": {"coding": [{"system": "http://snomed.info/sct", "code": "1", "display": name}]}, "performedDateTime": at}  # fmt: skip


def order(key: str, patient: str, *, uid: str | None = None, accession: str | None = None, visit: str | None = None, done: str | None = None) -> dict[str, Any]:
    told: dict[str, Any] = {"resourceType": "ImagingStudy", "id": key, "status": "available", "subject": reference("Patient", patient)}
    named = [{"type": ACSN, "system": "urn:acc", "value": accession}] if accession else []
    told["identifier"] = [*named, *([{"system": DICOM_UID, "value": f"urn:oid:{uid}"}] if uid else [])]
    if visit:
        told["encounter"] = reference("Encounter", visit)
    if done:
        told["procedureReference"] = reference("Procedure", done)
    return told


NAMES = {"p1": "Quirkenfeld", "p2": "Zwickelbach"}
RECORDS = [
    {"resourceType": "Patient", "id": "p1", "gender": "female", "birthDate": "1960-02-03", "name": [{"family": "Quirkenfeld", "given": ["Jane"]}]},
    {"resourceType": "Patient", "id": "p2", "gender": "male", "birthDate": "1950-01-01", "name": [{"family": "Zwickelbach"}]},
    encounter("e1", "p1", "2024-01-10T08:00:00Z", "2024-01-12T10:00:00Z"),
    encounter("e2", "p1", "2024-05-31T08:00:00Z", "2024-06-01T08:00:00Z"),
    encounter("e3", "p1", "2024-07-02T08:00:00Z", "2024-07-02T18:00:00Z"),
    encounter("e4", "p1", "2024-07-02T20:00:00Z", "2024-07-02T22:00:00Z"),
    procedure("x1", "p1", "2024-01-11T09:10:00Z", "Computed tomography of chest"),
    procedure("x2", "p1", "2024-01-11T09:20:00Z", "Blood draw"),
    procedure("x3", "p1", "2024-02-27T09:00:00Z", "CT of head"),
    order("o1", "p1", uid="2.1", visit="e1"),
    order("o2", "p1", accession="ACC2", visit="e1", done="x3"),
    order("o4", "p1", uid="2.4", visit="e1"),
]


def objects(folder: Path) -> None:
    """The archive: slices in sub-folders as a medium has them, with its DICOMDIR."""
    numbered, medium = 0, FileSet()
    for study, (patient, when, accession) in STUDIES.items():
        for n in range(SLICES.get(study, 1)):
            day, clock = when.split()
            made = slice_with(numbered, {
                "StudyInstanceUID": study, "SeriesInstanceUID": f"{study}.1", "SOPInstanceUID": f"{study}.1.{n}", "PatientID": patient,
                "PatientName": f"{NAMES.get(patient, 'Nemo')}^Jane", "StudyDate": day, "StudyTime": clock, "SeriesDate": day, "AccessionNumber": accession,
                "ImagePositionPatient": [0, 0, 2.5 * n], "StudyID": "1", "SeriesNumber": "1", "StudyDescription": f"Thorax of {NAMES.get(patient, 'Nemo')}",
            })  # fmt: skip
            path = folder / f"{study}-{n}.dcm"
            path.write_bytes(made)
            medium.add(path)
            numbered += 1
    medium.write(folder / "cd")
    for path in folder.glob("*.dcm"):
        path.unlink()


def place_of(folder: Path, uid: str) -> Path:
    """The file of the medium that holds an object."""
    return next(p for p in (folder / "cd").rglob("*") if p.is_file() and p.name != "DICOMDIR" and uid.encode() + b"\0" in p.read_bytes().replace(b" ", b"\0"))


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("imaging")
    (folder / "landing" / "ehr").mkdir(parents=True)
    (folder / "landing" / "ehr" / "all.ndjson").write_text("\n".join(json.dumps(r) for r in RECORDS))
    (folder / "landing" / "images").mkdir()
    objects(folder / "landing" / "images")
    place_of(folder / "landing" / "images", LATE).rename(folder / "late")
    conf = conf_of(folder / "conf")
    for name, text in (("ehr", 'format = "fhir"\n'), ("images", 'format = "dicom"\npatient_source = "ehr"\n')):
        (conf / "sources" / name).mkdir(parents=True)
        (conf / "sources" / name / "source.toml").write_text(text)
    return folder


@pytest.fixture(scope="module")
def lake(spark: SparkSession, home: Path) -> Lake:
    by_name(home, "ingest", "link", "build")
    return Lake(spark, home / "lake")


def of_original(lake: Lake, table: str, uid: str):
    """Rows of an open table with the original UID beside them, for whoever may enter the restricted zone."""
    back = lake.read("vault.uid_map").select(F.col("uid").alias("original"), F.col("mapped_uid").alias(uid))
    return lake.read(f"silver.{table}").join(back, on=uid, how="inner")


def test_each_study_finds_its_visit_and_procedure_by_the_first_rule_that_tells(lake: Lake) -> None:
    shifts = lake.read("vault.date_offset")
    visits = lake.read("silver.visit_occurrence").join(shifts, on="person_id", how="inner")
    started = visits.select("visit_occurrence_id", F.date_add("visit_start_date", -F.col("shift_days")).cast("string").alias("day"))
    done = lake.read("silver.procedure_occurrence").select("procedure_occurrence_id", "procedure_source_name")
    rows = of_original(lake, "imaging_study", "study_uid").join(started, on="visit_occurrence_id", how="left").join(
        done, on="procedure_occurrence_id", how="left"
    )
    told = {r["original"]: (r["day"], r["visit_link_rule"], r["procedure_source_name"], r["procedure_link_rule"]) for r in rows.collect()}
    assert told == {
        "2.1": ("2024-01-10", "study_uid", "Computed tomography of chest", "patient_time"),
        "2.2": ("2024-01-10", "accession", "CT of head", "accession"),
        "2.3": ("2024-05-31", "patient_time", None, None),
        "2.4": (None, None, None, None),
        "2.5": (None, None, None, None),
    }
    flags = {r["original"]: r["qc"] for r in rows.collect()}
    assert flags == {"2.1": [], "2.2": [], "2.3": [], "2.4": ["order_of_another_person"], "2.5": ["visit_ambiguous"]}


def test_a_series_has_the_visit_of_its_study(lake: Lake) -> None:
    study = lake.read("silver.imaging_study").select("study_uid", "visit_occurrence_id")
    series = lake.read("silver.image_occurrence").select("study_uid", "visit_occurrence_id")
    assert sorted(map(str, study.collect())) == sorted(map(str, series.collect()))
    assert series.where("visit_occurrence_id IS NOT NULL").count() == 3


def test_what_the_medium_names_and_does_not_hold_is_told(lake: Lake) -> None:
    index = lake.read("bronze.dicom_directory").first()
    assert (index["file"], index["n_references"]) == ("cd/DICOMDIR", 9)
    aside = lake.read("quarantine.record").where("status = 'open'").select("target", "file", "reason_code", "mapped_row").collect()
    lost = [r for r in aside if r["reason_code"] == "dicom_file_missing"]
    assert [(r["target"], r["file"], LATE in r["mapped_row"]) for r in lost] == [("silver.imaging_instance", "cd/DICOMDIR", True)]
    assert {r["reason_code"] for r in aside} == {"dicom_file_missing", "orphan_person"}


def test_geometry_and_acquisition_stand_beside_the_series(lake: Lake) -> None:
    row = of_original(lake, "series_geometry", "series_uid").where("original = '2.1.1'").first()
    assert (row["n_slices"], row["slice_spacing_mm"], row["is_regular_volume"], row["orientation"]) == (3, 2.5, True, "AXIAL")
    taken = of_original(lake, "series_acquisition", "series_uid").where("original = '2.1.1'").first()
    assert (taken["kvp"], taken["tube_current_ma"], taken["convolution_kernel"]) == (120.0, 170.0, "STANDARD")
    people = {t: lake.read(f"silver.{t}").join(lake.read("silver.person"), on="person_id", how="left_anti").count()
              for t in ("imaging_study", "series_acquisition", "series_geometry", "imaging_instance")}  # fmt: skip
    assert set(people.values()) == {0}


def test_counts_add_up_and_nothing_open_names_anybody(lake: Lake, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    reconcile(Options(conf=home / "conf", lake=lake.root), "json")
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert told and all(t["ok"] == "yes" for t in told)
    for table in ("imaging_study", "image_occurrence", "imaging_instance", "series_acquisition", "series_geometry", "image_annotation"):
        text = "".join(lake.read(f"silver.{table}").toJSON().collect())
        assert not [word for word in ("Quirkenfeld", "Zwickelbach", "ACC2", "ACC5", '"2.1.', '"2.2.', "cd/", "DICOMDIR", '"p1"') if word in text], table


@pytest.mark.long
def test_what_was_missing_closes_its_entry_when_it_comes(lake: Lake, home: Path) -> None:
    (home / "landing" / "images" / "more").mkdir()
    (home / "late").rename(home / "landing" / "images" / "more" / "somewhere")
    before = {r["study_uid"]: r for r in lake.read("silver.imaging_study").drop("n_instances", "size_bytes").collect()}
    by_name(home, "ingest", "link", "build")
    records = lake.read("quarantine.record").where("reason_code = 'dicom_file_missing'").collect()
    assert [r["status"] for r in records] == ["closed"]
    row = of_original(lake, "series_geometry", "series_uid").where("original = '2.1.1'").first()
    assert (row["n_slices"], row["is_regular_volume"]) == (4, True)
    assert {r["study_uid"]: r for r in lake.read("silver.imaging_study").drop("n_instances", "size_bytes").collect()} == before
    by_name(home, "audit")
