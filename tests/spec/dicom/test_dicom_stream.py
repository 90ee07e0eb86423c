"""A DICOM object is taken in only when it is whole: every cut of a real file is seen."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import zlib
from pathlib import Path

import pydicom
import pytest
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from medlake.sources import dicom_stream
from medlake.sources.dicom import objects_of_file

# One file for each way of writing elements and pixels.
FILES = (
    "CT_small.dcm",  # explicit little endian, private elements, padding after the pixels
    "MR_small_implicit.dcm",
    "MR_small_bigendian.dcm",
    "MR_small_RLE.dcm",
    "MR_small_jpeg_ls_lossless.dcm",
    "SC_rgb_small_odd_jpeg.dcm",
    "693_J2KI.dcm",
    "rtdose_rle.dcm",  # fifteen frames
)
START_OF_DEFLATED = 334  # in image_dfl.dcm: where its meta group ends


def bundled(name: str) -> bytes:
    return Path(str(get_testdata_file(name))).read_bytes()


def outcome(folder: Path, data: bytes) -> dict[str, object]:
    """What becomes of one file with these bytes."""
    path = folder / "object"
    path.write_bytes(data)
    file = {
        "source": "pacs", "source_table": "dicom", "file": "object", "uri": str(path), "batch": 1,
        "size_bytes": len(data), "file_sha256": hashlib.sha256(data).hexdigest(),
    }  # fmt: skip
    rows = list(objects_of_file(file))
    assert len(rows) == 1
    return rows[0]


def written(dataset: Dataset) -> bytes:
    buffer = io.BytesIO()
    dataset.save_as(buffer)
    return buffer.getvalue()


def small_ct() -> Dataset:
    return pydicom.dcmread(str(get_testdata_file("CT_small.dcm")))


@pytest.mark.parametrize("name", FILES)
def test_every_cut_of_a_real_file_is_refused(tmp_path: Path, name: str) -> None:
    data = bundled(name)
    assert outcome(tmp_path, data).get("reason_code") is None
    end_of_pixels = len(data) - 138 if name == "CT_small.dcm" else len(data)  # a padding element follows
    cuts = [*range(1, min(1600, end_of_pixels), 3), *range(1600, end_of_pixels, 211), end_of_pixels - 1]
    passed = [cut for cut in cuts if outcome(tmp_path, data[:cut]).get("reason_code") is None]
    assert passed == []


def test_a_cut_inside_the_pixels_is_called_truncated_and_keeps_its_first_bytes(tmp_path: Path) -> None:
    data = bundled("CT_small.dcm")[:20_000]
    row = outcome(tmp_path, data)
    assert row["reason_code"] == "dicom_truncated"
    assert base64.b64decode(str(row["raw"])) == data
    assert hashlib.sha256(data).hexdigest() in str(row["detail"])
    assert "size_bytes=20000" in str(row["detail"])


def test_pixels_shorter_than_rows_and_columns_say_are_truncated(tmp_path: Path) -> None:
    ct = small_ct()
    ct.PixelData = ct.PixelData[:-2]
    assert outcome(tmp_path, written(ct))["reason_code"] == "dicom_truncated"


def test_fewer_fragments_than_frames_are_truncated(tmp_path: Path) -> None:
    dose = pydicom.dcmread(str(get_testdata_file("rtdose_rle.dcm")))
    dose.NumberOfFrames = 16
    assert outcome(tmp_path, written(dose))["reason_code"] == "dicom_truncated"


@pytest.mark.parametrize(
    ("keyword", "reason"),
    [
        ("SOPInstanceUID", "dicom_uid_missing"),
        ("StudyInstanceUID", "dicom_uid_missing"),
        ("SeriesInstanceUID", "dicom_uid_missing"),
        ("SOPClassUID", "dicom_uid_missing"),
        ("PatientID", "dicom_patient_missing"),
        ("Modality", "dicom_modality_missing"),
        ("PixelData", "dicom_pixels_missing"),
    ],
)
def test_an_object_without_a_mandatory_element_is_refused(tmp_path: Path, keyword: str, reason: str) -> None:
    ct = small_ct()
    delattr(ct, keyword)
    buffer = io.BytesIO()
    pydicom.dcmwrite(buffer, ct, enforce_file_format=False)
    assert outcome(tmp_path, buffer.getvalue())["reason_code"] == reason


def test_what_is_no_dicom_is_refused(tmp_path: Path) -> None:
    program = b"MZ\x90\x00" + bytes(60) + b"This program cannot be run in DOS mode." + bytes(4096)
    assert outcome(tmp_path, program)["reason_code"] == "dicom_not_part10"
    assert outcome(tmp_path, bundled("no_meta.dcm"))["reason_code"] == "dicom_not_part10"
    assert outcome(tmp_path, bundled("meta_missing_tsyntax.dcm"))["reason_code"] == "dicom_not_part10"
    unmarked = bundled("MR_small.dcm").replace(b"DICM", b"DUCM", 1)
    assert outcome(tmp_path, unmarked)["reason_code"] == "dicom_not_part10"
    assert outcome(tmp_path, b"")["reason_code"] == "file_empty"


def test_nul_padding_after_an_object_is_no_fault_but_within_it_is(tmp_path: Path) -> None:
    data = bundled("MR_small.dcm")
    assert outcome(tmp_path, data + bytes(512)).get("reason_code") is None
    element = b"\xfc\xff\xfc\xffOB\0\0\2\0\0\0\0\0"  # data set trailing padding
    assert outcome(tmp_path, data + element).get("reason_code") is None
    assert outcome(tmp_path, data + bytes(512) + element)["reason_code"] == "dicom_truncated"


def deflated(body: bytes, *, end: int = zlib.Z_FINISH) -> bytes:
    """A real file's meta group with another data set, deflated, behind it."""
    meta = bundled("image_dfl.dcm")[:START_OF_DEFLATED]
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    return meta + packer.compress(body) + packer.flush(end)


def test_a_deflated_bomb_is_stopped_at_its_cap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dicom_stream, "FREE_INFLATED_BYTES", 1024**2)
    row = outcome(tmp_path, deflated(b"\x08\x00\x05\x00UT\0\0\xff\xff\xff\x7f" + bytes(8 * 1024**2)))
    assert row["reason_code"] == "archive_unsafe"


def test_a_deflated_object_without_its_end_is_truncated(tmp_path: Path) -> None:
    whole = zlib.decompress(bundled("image_dfl.dcm")[START_OF_DEFLATED:], -zlib.MAX_WBITS)
    assert outcome(tmp_path, deflated(whole))["reason_code"] == "dicom_patient_missing"
    assert outcome(tmp_path, deflated(whole[:-100]))["reason_code"] == "dicom_truncated"
    assert outcome(tmp_path, deflated(whole, end=zlib.Z_SYNC_FLUSH))["reason_code"] == "dicom_truncated"


def test_too_many_elements_are_refused_in_bounded_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dicom_stream, "MAX_ELEMENTS", 1000)
    ct = small_ct()
    ct.ReferencedImageSequence = Sequence([Dataset() for _ in range(2000)])
    for item in ct.ReferencedImageSequence:
        item.InstanceNumber = 1
    assert outcome(tmp_path, written(ct))["reason_code"] == "file_unreadable"


def test_sequences_nested_without_end_are_refused(tmp_path: Path) -> None:
    ct = small_ct()
    inner = Dataset()
    inner.InstanceNumber = 1
    for _ in range(dicom_stream.MAX_DEPTH + 2):
        outer = Dataset()
        outer.ReferencedImageSequence = Sequence([inner])
        inner = outer
    ct.ReferencedImageSequence = Sequence([inner])
    assert outcome(tmp_path, written(ct))["reason_code"] == "file_unreadable"


@pytest.mark.parametrize("name", [*FILES, "examples_overlay.dcm", "waveform_ecg.dcm", "rtplan.dcm"])
def test_the_header_is_pydicoms_json_model_without_pixels_and_bulk(tmp_path: Path, name: str) -> None:
    data = bundled(name)
    row = outcome(tmp_path, data)
    header = json.loads(str(row["header_json"]))
    want = pydicom.dcmread(io.BytesIO(data)).to_json_dict()
    assert set(header) == set(want) - {"7FE00010"}
    bulk = {tag for tag, element in header.items() if set(element) == {"vr"} and len(want[tag]) > 1}
    assert all(len(json.dumps(want[tag])) > 4096 for tag in bulk)
    nested = {"00880200", "54000100"}  # icon image and waveform: bulk within their items
    for tag in set(header) - bulk - nested:
        assert header[tag] == want[tag]


def test_private_elements_are_kept_and_pixels_are_not(tmp_path: Path) -> None:
    header = json.loads(str(outcome(tmp_path, bundled("CT_small.dcm"))["header_json"]))
    assert header["00090010"] == {"vr": "LO", "Value": ["GEMS_IDEN_01"]}
    assert "7FE00010" not in header


def test_a_value_that_its_type_cannot_hold_is_kept_as_bytes(tmp_path: Path) -> None:
    data = bundled("CT_small.dcm")
    spoiled = data.replace(b"\x20\x00\x13\x00IS\x02\x001 ", b"\x20\x00\x13\x00IS\x02\x00x ")
    assert spoiled != data
    header = json.loads(str(outcome(tmp_path, spoiled)["header_json"]))
    assert header["00200013"] == {"vr": "IS", "InlineBinary": base64.b64encode(b"x ").decode()}


def test_reading_an_object_says_nothing_of_its_values(
    tmp_path: Path, recwarn: pytest.WarningsRecorder, caplog: pytest.LogCaptureFixture
) -> None:
    spoiled = bundled("CT_small.dcm").replace(b"ISO_IR 100", b"NO_CHARSET").replace(b"1CT1", b"1CT\xff")
    assert outcome(tmp_path, spoiled).get("reason_code") is None
    assert [str(w.message) for w in recwarn] == []
    assert caplog.text == ""
