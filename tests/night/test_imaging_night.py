"""Images beside a record system, from the files to silver: each study finds its visit, marks and gaps are told, no name gets out."""

from __future__ import annotations

import json

import pytest
from pyspark.sql import functions as F
from tests.deliveries import LATE, Hospital
from tests.nights import by_name

from medlake.doors.lake import Lake
from medlake.steps.reconcile import reconcile
from medlake.steps.runner import Options

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("hospital")]


@pytest.fixture
def lake(hospital: Hospital) -> Lake:
    """The lake of five sources; `images` and `ehr` are these tests'."""
    return hospital.lake



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
    aside = lake.read("quarantine.record").where("status = 'open' AND source IN ('ehr', 'images')").select("target", "file", "reason_code", "mapped_row").collect()
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


def test_counts_add_up_and_nothing_open_names_anybody(lake: Lake, hospital: Hospital, capsys: pytest.CaptureFixture[str]) -> None:
    reconcile(Options(conf=hospital.folder / "conf", lake=lake.root), "json")
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert told and all(t["ok"] == "yes" for t in told)
    for table in ("imaging_study", "image_occurrence", "imaging_instance", "series_acquisition", "series_geometry", "image_annotation"):
        text = "".join(lake.read(f"silver.{table}").toJSON().collect())
        assert not [word for word in ("Quirkenfeld", "Zwickelbach", "ACC2", "ACC5", '"2.1.', '"2.2.', "cd/", "DICOMDIR", '"p1"') if word in text], table


@pytest.mark.long
def test_what_was_missing_closes_its_entry_when_it_comes(lake: Lake, hospital: Hospital) -> None:
    (hospital.folder / "landing" / "images" / "more").mkdir()
    (hospital.folder / "late").rename(hospital.folder / "landing" / "images" / "more" / "somewhere")
    before = {r["study_uid"]: r for r in lake.read("silver.imaging_study").drop("n_instances", "size_bytes").collect()}
    by_name(hospital.folder, "ingest", "link", "build")
    records = lake.read("quarantine.record").where("reason_code = 'dicom_file_missing'").collect()
    assert [r["status"] for r in records] == ["closed"]
    row = of_original(lake, "series_geometry", "series_uid").where("original = '2.1.1'").first()
    assert (row["n_slices"], row["is_regular_volume"]) == (4, True)
    assert {r["study_uid"]: r for r in lake.read("silver.imaging_study").drop("n_instances", "size_bytes").collect()} == before
    by_name(hospital.folder, "audit")
