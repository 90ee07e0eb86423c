"""The samples as committed: sizes, faults, who is whom, images and letters, without the engine."""

from __future__ import annotations

import csv
import gzip
import io
import json
import re
import zipfile
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.errors import InvalidDicomError
from samples.make import identity
from samples.make.identity import Identity, of_fhir, of_south, rules_met

SAMPLES = Path(__file__).resolve().parents[3] / "samples"
FATES = {"quarantined", "flagged", "merged", "kept", "converted", "deleted", "corrected", "moved"}
MEGABYTE = 1024 * 1024
PLANTED = list(csv.DictReader(io.StringIO((SAMPLES / "planted.csv").read_text(encoding="utf-8"), newline="")))
NOT_IN_THE_RAW_RECORD = {"person"}  # its needle is the gender_concept_id that the row must have


def content(path: Path) -> bytes:
    data = path.read_bytes()
    return gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data


def rows(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(path.read_text(encoding="utf-8"), newline="")))


def resources(night: str, kind: str) -> list[dict[str, Any]]:
    """The readable resources of one type in north's export."""
    found = []
    for path in sorted((SAMPLES / night / "north").glob(f"{kind}.*ndjson*")):
        for line in content(path).split(b"\n"):
            try:
                value = json.loads(line.removeprefix(b"\xef\xbb\xbf"))
            except ValueError:
                continue
            if isinstance(value, dict) and value.get("resourceType") == kind:
                found.append(value)
    return found


@pytest.fixture(scope="module")
def north() -> list[Identity]:
    newest = {row["id"]: row for night in ("night1", "night2") for row in resources(night, "Patient")}
    return [of_fhir(row) for row in newest.values()]


@pytest.fixture(scope="module")
def south() -> list[Identity]:
    text = (SAMPLES / "night1" / "south" / "patients.csv").read_text(encoding="latin-1")
    table = csv.DictReader(io.StringIO(text, newline=""), delimiter=";")
    return [of_south(row) for row in table if row["ID"]]


# ---- size


def test_the_samples_are_small_enough_for_git_and_for_a_fast_night() -> None:
    paths = [
        path for night in ("night1", "night2") for path in (SAMPLES / night).rglob("*") if path.is_file()
    ]
    assert sum(path.stat().st_size for path in paths) < 25 * MEGABYTE
    readable = [path for path in paths if path.name != "CarePlan.ndjson.gz"]
    assert sum(len(content(path)) for path in readable) < 60 * MEGABYTE
    assert sum(path.stat().st_size for path in (SAMPLES / "night1" / "pacs").rglob("*")) < 8 * MEGABYTE


def test_the_sources_hold_what_the_readme_says() -> None:
    assert len(resources("night1", "Patient")) == 100 + 5  # and the strangers who carry faults
    assert len(resources("night2", "Patient")) == 4 + 1  # and the corrected one
    assert 10_000 < len(resources("night1", "Observation")) < 40_000
    plain = [path for path in (SAMPLES / "night1" / "north").glob("*.ndjson") if path.stat().st_size]
    assert plain, "plain files are exercised too"
    assert list((SAMPLES / "night1" / "north").glob("*.ndjson.gz"))


def test_only_planted_events_lie_in_the_future() -> None:
    for condition in resources("night1", "Condition"):
        assert condition["id"].startswith("plant-") or condition["onsetDateTime"] < "2026-07-01"


# ---- who is whom


def test_every_true_pair_and_no_false_one_is_linkable(north: list[Identity], south: list[Identity]) -> None:
    truth = {
        (row["north_person_source_value"], row["south_person_source_value"])
        for row in rows(SAMPLES / "truth.csv")
    }
    assert len(truth) == 30
    assert set(identity.linked(north, south)) == truth
    assert identity.linked(north, north) == {}
    assert identity.linked(south, south) == {}


def test_the_truth_names_the_rules_and_every_rule_alone_is_needed() -> None:
    told = [row["rules"].split() for row in rows(SAMPLES / "truth.csv")]
    alone = {rules[0] for rules in told if len(rules) == 1}
    assert alone == {"national_id", "name_and_birth", "sound_and_birth"}
    assert len({row["difference"] for row in rows(SAMPLES / "truth.csv")}) >= 8
    assert Counter(row["night"] for row in rows(SAMPLES / "truth.csv")) == {"1": 29, "2": 1}


def test_near_misses_share_much_and_are_two_people(north: list[Identity], south: list[Identity]) -> None:
    here, there = ({one.key: one for one in side} for side in (north, south))
    misses = rows(SAMPLES / "near_misses.csv")
    assert len(misses) == 3
    for row in misses:
        one, other = here[row["north_person_source_value"]], there[row["south_person_source_value"]]
        shared = [
            name
            for name in ("national_id", "birth_date", "family", "zip_code")
            if getattr(one, name) == getattr(other, name)
        ]
        assert shared
        assert rules_met(one, other) == []


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("Robert", "R163"),
        ("Rupert", "R163"),
        ("Ashcraft", "A261"),
        ("Tymczak", "T522"),
        ("Pfister", "P236"),
        ("Núñez", "N520"),
    ],
)
def test_soundex_follows_the_american_rules(name: str, code: str) -> None:
    assert identity.soundex(name) == code


# ---- planted faults


def test_there_are_many_kinds_of_faults_in_every_source_and_both_nights() -> None:
    assert len({row["kind"] for row in PLANTED}) >= 60
    sources = {"north", "south", "pacs", "notes", "breast_cancer", "diabetes"}
    assert {row["source"] for row in PLANTED} == sources
    assert {row["night"] for row in PLANTED} == {"1", "2"}
    assert {row["fate"] for row in PLANTED} == FATES


@pytest.mark.parametrize("row", PLANTED, ids=[row["plant_id"] for row in PLANTED])
def test_a_planted_fault_says_what_must_become_of_it(row: dict[str, str]) -> None:
    assert row["kind"]
    assert row["why"].endswith(".")
    if row["fate"] == "quarantined":
        assert row["code"]
        assert row["needle"]
        assert row["expected_rows"] == "0"
    else:
        assert row["silver_table"]
        assert row["person_source_value"]
    assert bool(row["code"]) == (row["fate"] in {"quarantined", "flagged", "converted"})


@pytest.mark.parametrize("row", PLANTED, ids=[row["plant_id"] for row in PLANTED])
def test_the_needle_lies_in_the_haystack(row: dict[str, str]) -> None:
    path = SAMPLES / f"night{row['night']}" / row["source"] / row["file"]
    assert path.is_file()
    needle = row["needle"].encode()
    if row["silver_table"] in NOT_IN_THE_RAW_RECORD or row["file"].endswith(row["needle"]):
        return
    if row["night"] == "2" and row["needle"] in {"PLANT-C02-OLD", "PLANT-C04-KEPT", "PLANT-C06", "PLANT-C07",
                                                  "PLANT-C09-OLD", "PLANT-C11"}:  # fmt: skip
        path = next(p for p in (SAMPLES / "night1" / row["source"]).iterdir() if needle in content(p))
    if path.suffix == ".zip":
        archive = zipfile.ZipFile(path)
        assert any(needle in archive.read(name) for name in archive.namelist())
        return
    assert needle in content(path)


def test_codes_of_planted_events_belong_to_nobody_else() -> None:
    """A real code (body weight in pounds) counts once for the stranger who carries it."""
    planted = [
        row
        for row in PLANTED
        if row["source"] == "north" and row["silver_table"] == "measurement" and row["night"] == "1"
    ]
    observations = resources("night1", "Observation")
    for row in planted:
        mine = [
            one["id"]
            for one in observations
            if one.get("subject", {}).get("reference") == f"Patient/{row['person_source_value']}"
            and one.get("code", {}).get("coding", [{}])[0].get("code") == row["needle"]
        ]
        assert len(set(mine)) == 1, row["plant_id"]


# ---- pictures


def objects(night: str) -> list[Any]:
    found = []
    for path in sorted((SAMPLES / night / "pacs").rglob("*")):
        if path.is_file() and "incoming" not in path.parts and path.suffix != ".zip":
            try:
                found.append(dcmread(path))
            except InvalidDicomError:  # pragma: no cover (a fault outside incoming/)
                pytest.fail(f"{path} is no DICOM object")
    return found


def test_every_object_belongs_to_an_imaging_study_of_its_patient() -> None:
    listed = {}
    for study in resources("night1", "ImagingStudy") + resources("night2", "ImagingStudy"):
        for series in study["series"]:
            for instance in series["instance"]:
                listed[instance["uid"]] = (study, series)
    for one in objects("night1") + objects("night2"):
        study, series = listed[one.SOPInstanceUID]
        assert study["subject"]["reference"] == f"Patient/{one.PatientID}"
        assert study["identifier"][0]["value"] == f"urn:oid:{one.StudyInstanceUID}"
        assert study["identifier"][1]["value"] == one.AccessionNumber
        assert study["started"][:10].replace("-", "") == one.StudyDate
        assert (series["uid"], series["modality"]["code"]) == (one.SeriesInstanceUID, one.Modality)


def test_there_are_several_modalities_and_compressed_syntaxes() -> None:
    found = objects("night1")
    assert {one.Modality for one in found} >= {"CT", "MR", "CR", "US", "NM", "SR", "RTDOSE", "OT"}
    assert len({one.file_meta.TransferSyntaxUID for one in found}) >= 9
    assert all(one.BurnedInAnnotation == "YES" for one in found if one.Modality == "US")
    assert len({one.SOPInstanceUID for one in found}) == len(found)
    with zipfile.ZipFile(SAMPLES / "night1" / "pacs" / "ct_outside.zip") as archive:
        assert len(archive.namelist()) == 9


def test_private_tags_carry_the_patients_name() -> None:
    for one in objects("night1"):
        value = one.private_block(0x0011, "NORTH PACS")[0x10].value
        text = value.decode() if isinstance(value, bytes) else value  # implicit VR: the type is not told
        assert str(one.PatientName).split("^")[0] in text


def test_the_volume_is_regular() -> None:
    slices = [one for one in objects("night1") if one.StudyDescription == "MR head" and one.Rows == 96]
    assert len(slices) == 24
    slices.sort(key=lambda one: int(one.InstanceNumber))
    cosines = np.array([one.ImageOrientationPatient for one in slices], float)
    assert np.ptp(cosines, axis=0).max() == 0
    normal = np.cross(cosines[0, :3], cosines[0, 3:])
    steps = np.diff([np.array(one.ImagePositionPatient, float) @ normal for one in slices])
    assert steps == pytest.approx(2.2, abs=1e-3)
    assert all(one.pixel_array.max() > 500 for one in slices)


# ---- letters


def test_letters_name_their_patients() -> None:
    people = {row["id"]: row for row in resources("night1", "Patient")}
    pattern = re.compile(r"(?P<patient>[^_]+)_(?P<day>\d{8})_(?P<title>[^.]+)\.txt")
    written = 0
    for path in sorted((SAMPLES / "night1" / "notes").glob("*.txt")):
        said = pattern.fullmatch(path.name)
        if not said or said["patient"] not in people or said["title"] in {"empty", "scan", "letter"}:
            continue
        data = path.read_bytes()
        try:
            text = data.decode()
        except UnicodeDecodeError:
            text = data.decode("cp1252")
        patient = people[said["patient"]]
        assert patient["name"][0]["family"] in text
        assert patient["telecom"][0]["value"] in text
        assert patient["address"][0]["line"][0] in text
        assert re.search(r"N\d{7}", text)
        written += 1
    assert written == 40


def test_the_real_tables_are_complete() -> None:
    biopsies = rows(SAMPLES / "night1" / "breast_cancer" / "biopsies.csv")
    assert len({row["id"] for row in biopsies if re.fullmatch(r"B0\d{3}", row["id"])}) == 569
    baseline = (SAMPLES / "night1" / "diabetes" / "baseline.tsv").read_text(encoding="utf-8").splitlines()
    assert len({line.split("\t")[0] for line in baseline if re.match(r"D0\d{3}\t", line)}) == 442
