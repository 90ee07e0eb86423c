"""The ready-made source of chest X-rays on the real pictures: persons, findings and images, beside what pandas and Pillow say."""

from __future__ import annotations

import shutil
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image
from pyspark.sql import SparkSession
from pyspark.sql import functions as F
from tests.nights import by_name, conf_of
from tests.shared import shared_samples
from tests.spec.library.library import read

from medlake.doors.lake import Lake

pytestmark = [pytest.mark.slow, pytest.mark.long]
LATE = "80b5f00f.jpg"  # comes a night later


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    samples = shared_samples("covid-cxr-open") / "covid-cxr-open"
    folder = tmp_path_factory.mktemp("xrays")
    landing = folder / "landing" / "xrays"
    shutil.copytree(samples, landing)
    for path in (landing, *landing.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
    (landing / "images" / LATE).rename(folder / LATE)
    cut = (landing / "images" / "7afaaccc.jpg").read_bytes()
    (landing / "images" / "cut.jpg").write_bytes(cut[: len(cut) // 2])
    Image.new("L", (9, 9)).save(landing / "images" / "stranger.png")  # no row of the metadata names it
    conf = conf_of(folder / "conf")
    (conf / "sources" / "xrays").mkdir(parents=True)
    (conf / "sources" / "xrays" / "source.toml").write_text('library = "covid_cxr"\n')
    return folder


@pytest.fixture(scope="module")
def lake(spark: SparkSession, home: Path) -> Lake:
    """The pictures and their table taken in, linked and built."""
    by_name(home, "ingest", "link", "build")
    return Lake(spark, home / "lake")


@pytest.fixture(scope="module")
def told(home: Path, lake: Lake) -> pd.DataFrame:
    """The metadata of the pictures that came on the first day."""
    table = read(home / "landing" / "xrays" / "metadata.csv")
    there = {path.name for path in (home / "landing" / "xrays" / "images").iterdir()}
    return table[table.filename.isin(there - {LATE})]


def test_every_picture_is_in_bronze_as_pillow_sees_it(home: Path, lake: Lake) -> None:
    have = {r["file"]: r for r in lake.read("bronze.raster_image").collect()}
    want = {f"images/{p.name}": p for p in (home / "landing" / "xrays" / "images").iterdir() if p.name not in ("cut.jpg", LATE)}
    assert set(have) == set(want)
    for file, path in want.items():
        with Image.open(path) as image:
            said = (image.format, image.width, image.height, image.mode, path.stat().st_size)
        row = have[file]
        assert (row["format"], row["width"], row["height"], row["mode"], row["byte_size"]) == said
        assert row["bit_depth"] == 8


def test_a_cut_picture_and_one_of_nobody_are_set_aside(lake: Lake) -> None:
    aside = lake.read("quarantine.record").where("status = 'open'").select("file", "target", "reason_code").collect()
    assert {tuple(r) for r in aside} == {
        ("images/cut.jpg", "bronze.raster_image", "raster_truncated"),
        ("images/stranger.png", "silver.imaging_instance", "required_person_source_value"),
    }


def test_persons_and_findings_are_those_of_the_table(home: Path, lake: Lake) -> None:
    table = read(home / "landing" / "xrays" / "metadata.csv")
    keys = lake.read("vault.id_vault").where("is_current").select("person_id", "person_source_value")
    person = lake.read("silver.person").join(keys, on="person_id", how="inner")
    sexes = {r["person_source_value"]: r["gender_source_value"] or "" for r in person.collect()}
    assert sexes == table.groupby("patientid").sex.min().to_dict()
    ill = table[table.finding != "No Finding"]
    have = lake.read("silver.condition_occurrence").join(keys, on="person_id", how="inner")
    found = sorted((r["person_source_value"], r["condition_source_value"]) for r in have.collect())
    assert found == sorted(set(zip(ill.patientid, ill.finding, strict=True)))
    temperature = lake.read("silver.measurement").where("measurement_source_value = '8310-5'")
    assert sorted(r["value_std"] for r in temperature.collect()) == sorted(pd.to_numeric(table.temperature).dropna())


def test_studies_series_and_images_are_those_of_the_table(lake: Lake, told: pd.DataFrame) -> None:
    study = told.patientid + "|" + told.offset.where(told.offset != "", told.date)
    assert lake.read("silver.imaging_study").count() == study.nunique()
    assert lake.read("silver.image_occurrence").count() == (study + "|" + told.view).nunique()
    assert lake.read("silver.imaging_instance").count() == len(told)
    series = lake.read("silver.image_occurrence").collect()
    assert {(r["modality"], r["laterality"]) for r in series} == {("DX", None)}
    assert sum(r["n_instances"] for r in series) == len(told)
    views = lake.read("silver.series_acquisition").groupBy("view_position").count().collect()
    assert {r["view_position"]: r["count"] for r in views} == {"PA": len(series)}
    flags = lake.read("silver.imaging_instance").select("qc").distinct().collect()
    assert [r["qc"] for r in flags] == [["burned_in_risk"]]


def test_days_between_pictures_of_one_patient_are_kept(lake: Lake, told: pd.DataFrame) -> None:
    keys = lake.read("vault.id_vault").where("is_current AND person_source_value = '252'").select("person_id")
    rows = lake.read("silver.imaging_study").join(keys, on="person_id", how="left_semi").orderBy("study_at").collect()
    days = [(r["study_at"] - rows[0]["study_at"]).days for r in rows]
    assert days == sorted(int(o) + 27 for o in told[told.patientid == "252"].offset)


def test_nothing_open_names_a_file_or_a_patient(home: Path, lake: Lake, told: pd.DataFrame) -> None:
    for table in ("imaging_study", "image_occurrence", "imaging_instance", "series_acquisition"):
        text = str(lake.read(f"silver.{table}").toJSON().collect())
        assert not [name for name in told.filename if name in text or name.split(".")[0] in text]
        assert "raster|" not in text
        assert all(r[0].startswith("2.25.") for r in lake.read(f"silver.{table}").select("study_uid").collect())


def test_a_second_night_takes_in_what_is_new_and_changes_nothing_else(home: Path, lake: Lake) -> None:
    before = {r["sop_instance_uid"]: r for r in lake.read("silver.imaging_instance").collect()}
    by_name(home, "ingest")
    assert lake.read("bronze.raster_image").count() == len(before) + 1  # the stranger's too
    (home / LATE).rename(home / "landing" / "xrays" / "images" / LATE)
    by_name(home, "ingest", "link", "build")
    after = {r["sop_instance_uid"]: r for r in lake.read("silver.imaging_instance").collect()}
    assert len(after) == len(before) + 1
    assert {uid: after[uid] for uid in before} == before
    built = lake.read("ops.table_build").where("table = 'imaging_instance'").orderBy(F.desc("night_id")).first()
    assert built["rows_in"] == built["rows_kept"] + built["rows_quarantined"] + built["rows_merged"]
