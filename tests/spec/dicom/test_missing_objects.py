"""What a DICOMDIR names and what did not come is told, until it comes."""

from __future__ import annotations

import json

import pytest
from pyspark.sql import DataFrame, SparkSession
from tests.tables import assert_rows, rows

from medlake.clean.missing_objects import missing_objects
from medlake.grammar.contract import promise


def index(*named: tuple[str, str | None], patient: str = "P1") -> str:
    return json.dumps(
        [{"file": f, "sop_instance_uid": uid, "patient_key": f" {patient} ", "study_uid": "s", "series_uid": "r"} for f, uid in named]
    )


@pytest.fixture
def lost(spark: SparkSession):
    def run(directories: list[tuple[str, str | None, int, str]], objects: str = "", files: str = "") -> DataFrame:
        columns = "source string, source_table string, file string, member string, file_sha256 string, row bigint, batch int, references_json string"
        told = [("pacs", "dicom", file, member, f"sha{n}{batch}", 0 if member is None else 1, batch, text)
                for n, (file, member, batch, text) in enumerate(directories)]  # fmt: skip
        held = rows(spark, "bronze.dicom_object", "source | sop_instance_uid\n" + (objects or "pacs | none"))
        landed = rows(spark, "bronze.landing_file", "source | file\n" + (files or "pacs | nothing"))
        return missing_objects(spark.createDataFrame(told, columns), held, landed)

    return run


def test_an_object_is_there_by_its_uid_or_by_its_path(lost) -> None:
    told = lost(
        [("CD1/DICOMDIR", None, 1, index(("A/1", "1.1"), ("A/2", "1.2"), ("A/3", "1.3"), ("A/4", None), ("a/5", None)))],
        objects="pacs | 1.1\nother | 1.9", files="pacs | cd1/a/2\npacs | A/3\nother | CD1/A/3\npacs | CD1/A/5",
    )  # fmt: skip
    assert_rows(told, """
        source | person_source_value | study_uid | series_uid | sop_instance_uid | is_missing
        pacs   | P1                  | s         | r          | 1.3              | true
        pacs   | P1                  | s         | r          | null             | true
    """)


def test_inside_a_zip_only_the_uid_counts(lost) -> None:
    told = lost([("cd.zip", "DICOMDIR", 1, index(("A/1", "1.1"), ("A/2", "1.2")))], objects="pacs | 1.1", files="pacs | A/2")
    assert_rows(told, "sop_instance_uid\n1.2")


def test_the_newest_index_at_a_place_counts_and_two_places_tell_once(lost) -> None:
    told = lost([
        ("DICOMDIR", None, 1, index(("A/1", "1.1"), ("A/2", "1.2"))),
        ("DICOMDIR", None, 2, index(("A/2", "1.2"))),
        ("copy/DICOMDIR", None, 1, index(("A/2", "1.2"), patient="P0")),
        ("empty/DICOMDIR", None, 1, "[]"),
    ])  # fmt: skip
    assert_rows(told, "sop_instance_uid | person_source_value\n1.2 | P1")
    assert told.first()["_record"]["file"] == "DICOMDIR"


def test_the_index_stays_in_the_restricted_zone() -> None:
    assert promise("bronze.dicom_directory").columns["references_json"].phi == "free_text"
