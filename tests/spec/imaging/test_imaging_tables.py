"""bronze.dicom_object → instances, series and studies as the engine takes them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pyspark.sql import DataFrame, Row
from tests.tables import parsed

from medlake.clean.image_occurrence import stage_series
from medlake.clean.imaging_instance import stage_instances, with_burned_in_risk
from medlake.clean.imaging_study import stage_studies
from medlake.grammar.contract import promise

SC, US = "1.2.840.10008.5.1.4.1.1.7", "1.2.840.10008.5.1.4.1.1.6.1"
GIVEN_BY_ENGINE = {
    "person_id", "visit_occurrence_id", "image_occurrence_id", "visit_link_rule", "procedure_occurrence_id", "procedure_link_rule",
}  # fmt: skip
GIVEN_TO_ENGINE = {"_record", "person_source_value"}


def group(**macros: Dataset) -> Dataset:
    item = Dataset()
    for name, macro in macros.items():
        setattr(item, name, Sequence([macro]))
    return item


def macro(**elements: object) -> Dataset:
    item = Dataset()
    for name, value in elements.items():
        setattr(item, name, value)
    return item


ENHANCED = {
    "SharedFunctionalGroupsSequence": Sequence(
        [group(PixelMeasuresSequence=macro(PixelSpacing=[0.5, 0.5], SliceThickness=2),
               PlaneOrientationSequence=macro(ImageOrientationPatient=[1, 0, 0, 0, 1, 0]))]
    ),
    "PerFrameFunctionalGroupsSequence": Sequence(
        [group(PlanePositionSequence=macro(ImagePositionPatient=[0, 0, 2 * z])) for z in range(3)]
    ),
    "PixelSpacing": None, "SliceThickness": None, "ImageOrientationPatient": None,
    "ImagePositionPatient": None, "NumberOfFrames": 3, "PixelData": bytes(24), "SeriesInstanceUID": "8.9",
    "StudyInstanceUID": "8.8",
}  # fmt: skip

OBJECTS = (
    {},  # 0: as it is
    {"SOPInstanceUID": "1.2.3.0", "batch": 2, "PatientID": "corrected"},  # 1: a newer version of 0
    {"SOPClassUID": SC},  # 2
    {"Modality": "US", "SOPClassUID": US},  # 3
    {"BurnedInAnnotation": "YES"},  # 4
    {"BurnedInAnnotation": "NO"},  # 5
    {"Modality": "SMITH^JOHN"},  # 6
    {"PixelSpacing": None},  # 7
    {"SOPClassUID": "1.2.826.0.1.99"},  # 8: a class of a vendor's own
    {"StudyInstanceUID": "5.5", "SeriesInstanceUID": "5.6", "PatientID": "B"},  # 9
    {"StudyInstanceUID": "5.5", "SeriesInstanceUID": "5.6", "PatientID": "A"},  # 10
    {"StudyInstanceUID": "5.5", "SeriesInstanceUID": "5.7", "PatientID": "B", "Modality": "SR"},  # 11
    {"StudyInstanceUID": "6.6", "StudyDate": "20010230", "SeriesInstanceUID": "6.7"},  # 12: no such day
    {"StudyInstanceUID": "7.7", "SeriesInstanceUID": "7.8", "StudyDate": "20200102", "StudyTime": "0910",
     "SeriesDate": None, "TimezoneOffsetFromUTC": "+0200", "KVP": "0", "AccessionNumber": "ACC1"},  # 13
    {**ENHANCED},  # 14
)  # fmt: skip


@pytest.fixture(scope="module")
def objects(bronze: Callable[..., DataFrame]) -> DataFrame:
    return bronze(*[dict(changes) for changes in OBJECTS])


@pytest.fixture(scope="module")
def instances(objects: DataFrame) -> dict[str, Row]:
    return {row["sop_instance_uid"]: row for row in stage_instances(objects).collect()}


@pytest.fixture(scope="module")
def studies(objects: DataFrame) -> dict[str, Row]:
    return {row["study_uid"]: row for row in stage_studies(objects).collect()}


@pytest.fixture(scope="module")
def series(objects: DataFrame) -> dict[str, Row]:
    return {row["series_uid"]: row for row in stage_series(objects).collect()}


def test_flags_of_an_instance(instances: dict[str, Row]) -> None:
    names, cells = parsed("""
        number | qc
        2      | [burned_in_risk]
        3      | [burned_in_risk]
        4      | [burned_in_risk]
        5      | []
        6      | [modality_unknown, burned_in_risk]
        7      | [spacing_missing]
        8      | [class_private]
        12     | [type_study_at]
    """)
    assert names == ["number", "qc"]
    for number, flags in cells:
        assert str(instances[f"1.2.3.{number}"]["qc"]).replace("'", "") == flags, number


def test_the_newest_version_of_an_object_stands(instances: dict[str, Row]) -> None:
    assert instances["1.2.3.0"]["person_source_value"] == "corrected"
    assert len(instances) == len(OBJECTS) - 1


def test_an_instance_is_described_in_numbers(instances: dict[str, Row]) -> None:
    row = instances["1.2.3.5"]
    assert (row["n_rows"], row["n_columns"], row["bits_stored"], row["n_frames"]) == (2, 2, 16, 1)
    assert row["image_position_mm"] == [-158.135803, -179.035797, -75.699997]
    assert row["pixel_spacing_mm"] == [0.661468, 0.661468]
    assert (row["rescale_slope"], row["rescale_intercept"], row["instance_number"]) == (1.0, -1024.0, 5)


def test_geometry_of_an_enhanced_object_comes_from_its_functional_groups(series: dict[str, Row]) -> None:
    row = series["8.9"]
    assert (row["pixel_spacing_mm"], row["slice_thickness_mm"]) == ([0.5, 0.5], 2.0)
    assert (row["slice_spacing_mm"], row["is_regular_volume"], row["n_frames"]) == (2.0, True, 3)


def test_a_word_that_may_be_a_name_is_not_taken_for_a_term(instances: dict[str, Row]) -> None:
    assert "SMITH" not in str([row.asDict() for row in instances.values()])
    assert instances["1.2.3.8"]["sop_class_uid"] is None


def test_a_study_gathers_its_series(studies: dict[str, Row]) -> None:
    row = studies["5.5"]
    assert (row["n_series"], row["n_instances"], row["modalities"]) == (2, 3, ["CT", "SR"])
    assert (row["person_source_value"], "person_conflict" in row["qc"]) == ("B", True)


def test_times_are_utc_and_an_impossible_day_is_flagged(studies: dict[str, Row]) -> None:
    assert studies["7.7"]["study_at"] == datetime(2020, 1, 2, 7, 10)
    assert studies["6.6"]["study_at"] is None
    assert studies["6.6"]["qc"] == ["study_at_missing", "type_study_at"]


def test_a_series_takes_the_time_of_its_study_and_no_voltage_of_zero(series: dict[str, Row]) -> None:
    row = series["7.8"]
    assert row["series_at"] == datetime(2020, 1, 2, 7, 10)
    assert row["kvp"] is None


def test_thumbnails_are_asked_for_only_where_no_writing_is_to_be_feared(objects: DataFrame) -> None:
    risks = {r["sop_instance_uid"]: r["burned_in_risk"] for r in with_burned_in_risk(objects).collect()}
    assert [n for n in range(2, 9) if risks[f"1.2.3.{n}"]] == [2, 3, 4, 6]


@pytest.mark.parametrize(
    ("stage", "table"),
    [
        (stage_instances, "silver.imaging_instance"),
        (stage_series, "silver.image_occurrence"),
        (stage_studies, "silver.imaging_study"),
    ],
)
def test_staged_rows_lack_only_what_the_engine_gives(
    objects: DataFrame, stage: Callable[[DataFrame], DataFrame], table: str
) -> None:
    staged = {f.name: f.dataType.simpleString() for f in stage(objects).schema}
    want = {f.name: f.dataType.simpleString() for f in promise(table).schema}
    assert {n: t for n, t in staged.items() if n not in GIVEN_TO_ENGINE} == {
        n: t for n, t in want.items() if n not in GIVEN_BY_ENGINE
    }


def test_nothing_that_may_identify_is_promised_as_harmless() -> None:
    for table in ("silver.imaging_study", "silver.image_occurrence", "silver.imaging_instance"):
        harmless = {c.name for c in promise(table).columns.values() if c.phi == "none"}
        assert not harmless & {
            "study_uid", "series_uid", "sop_instance_uid", "accession", "study_at", "series_at",
            "description", "protocol", "body_part",
        }  # fmt: skip
