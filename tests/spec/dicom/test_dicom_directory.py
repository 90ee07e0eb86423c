"""A DICOMDIR is read whatever its order says, and a spoiled one costs one refusal."""

from __future__ import annotations

import io
import json
import random
from pathlib import Path

import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from medlake.sources import dicom_directory
from medlake.sources.dicom_directory import references_json
from medlake.sources.dicom_header import quiet_pydicom
from medlake.sources.dicom_stream import DIRECTORY_CLASS, BrokenObjectError, structure

MEDIUM = Path(pydicom.__file__).parent / "data" / "test_files" / "dicomdirtests" / "DICOMDIR"
WHOLE = MEDIUM.read_bytes()


def told(data: bytes) -> list[dict[str, str]]:
    """What the reader does with it: its structure is walked to the end, then its records are read."""
    found = structure(io.BytesIO(data), len(data))
    assert found.media_class == DIRECTORY_CLASS
    return list(json.loads(references_json(found.stream, len(data))))


def changed(change) -> bytes:
    medium = pydicom.dcmread(MEDIUM)
    change(medium)
    buffer = io.BytesIO()
    pydicom.dcmwrite(buffer, medium, enforce_file_format=True)
    return buffer.getvalue()


def test_records_say_what_stands_above_them() -> None:
    rows = told(WHOLE)
    assert len(rows) == 31
    assert {(r["patient_key"], r["modality"]) for r in rows} == {("77654033", "CR"), ("77654033", "CT"), ("98890234", "CT"), ("98890234", "MR")}
    assert all(r["study_uid"] and r["series_uid"] and r["sop_instance_uid"] for r in rows)
    assert {r["file"].split("/")[0] for r in rows} == {"77654033", "98892001", "98892003"}


def test_a_record_that_is_out_of_use_names_nothing() -> None:
    def retire(medium: Dataset) -> None:
        images = [r for r in medium.DirectoryRecordSequence if r.DirectoryRecordType == "IMAGE"]
        images[0].RecordInUseFlag = 0

    assert len(told(changed(retire))) == 30


@pytest.mark.parametrize("keyword", ["OffsetOfTheNextDirectoryRecord", "OffsetOfReferencedLowerLevelDirectoryEntity"])
def test_a_circle_of_offsets_ends(keyword: str) -> None:
    def circle(medium: Dataset) -> None:
        first = medium.DirectoryRecordSequence[0]
        for record in medium.DirectoryRecordSequence:
            setattr(record, keyword, first.seq_item_tell)

    assert len(told(changed(circle))) == 31


def test_offsets_that_lead_nowhere_leave_the_names() -> None:
    def astray(medium: Dataset) -> None:
        for n, record in enumerate(medium.DirectoryRecordSequence):
            record.OffsetOfTheNextDirectoryRecord = 7 * n
            record.OffsetOfReferencedLowerLevelDirectoryEntity = 2**31

    rows = told(changed(astray))
    assert len(rows) == 31 and {r["patient_key"] for r in rows if r["modality"]} == set()


def test_no_records_at_all_are_a_cut_and_an_empty_list_is_an_empty_medium() -> None:
    def emptied(medium: Dataset) -> None:
        medium.DirectoryRecordSequence = Sequence([])

    assert told(changed(emptied)) == []
    with pytest.raises(BrokenObjectError, match="dicom_truncated"):
        told(changed(lambda medium: delattr(medium, "DirectoryRecordSequence")))


def test_every_cut_and_any_damage_is_refused_or_understood() -> None:
    chance, refused = random.Random(5), []
    for n in range(60):
        data = bytearray(WHOLE[: len(WHOLE) * (n + 1) // 61] if n % 2 else WHOLE)
        for _ in range(20 if n % 2 == 0 else 0):
            data[chance.randrange(132, len(data))] = chance.randrange(256)
        try:
            with quiet_pydicom():
                rows = told(bytes(data))
        except BrokenObjectError as fault:
            refused.append(fault.code)
        else:
            assert all(isinstance(row["file"], str) for row in rows)
    assert set(refused) <= {"file_unreadable", "dicom_truncated", "dicom_not_part10"}
    assert len(refused) >= 30  # all of the cuts, and some of the damage


def test_one_that_is_too_large_is_not_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dicom_directory, "MAX_DIRECTORY_BYTES", 100)
    with pytest.raises(BrokenObjectError, match="more than 100 bytes"):
        told(WHOLE)
