"""Landing files → objects on executors: zips are walked safely, and one poison file stops no other."""

from __future__ import annotations

import hashlib
import io
import json
import stat
import struct
import zipfile
from pathlib import Path

import pytest
from pydicom.data import get_testdata_file
from pyspark.sql import DataFrame, Row, SparkSession

from medlake.grammar.contract import promise
from medlake.sources.dicom import read_objects, with_count
from medlake.sources.reading import FILE

CT, MR = "CT_small.dcm", "MR_small.dcm"


def bundled(name: str) -> bytes:
    return Path(str(get_testdata_file(name))).read_bytes()


def zipped(*members: tuple[str | zipfile.ZipInfo, bytes], packing: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", packing) as archive:
        for name, data in members:
            archive.writestr(name, data)
    return buffer.getvalue()


def overlapping() -> bytes:
    """A zip whose directory names one packed member a hundred times, as archives that explode do."""
    data = zipped(("ct.dcm", bundled(CT)))
    start, end = data.index(b"PK\x01\x02"), data.rindex(b"PK\x05\x06")
    entry, n = data[start:end], 100
    counts = struct.pack("<HHLL", n, n, n * len(entry), start)
    return data[:start] + entry * n + data[end : end + 8] + counts + b"\0\0"


def link(name: str) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    return info


def spoiled(data: bytes) -> bytes:
    """The last byte of the first member changed, so that its checksum is wrong."""
    at = data.index(b"PK\x01\x02") - 1
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


LANDED = {
    "ct.dcm": bundled(CT),
    "mr": bundled(MR),  # a name says nothing
    "empty.dcm": b"",
    "virus.dcm": b"MZ\x90\x00" + bytes(5000),
    "cut.dcm": bundled(CT)[:15_000],
    "DICOMDIR": bundled("DICOMDIR"),
    "medium.zip": zipped(("DICOMDIR", bundled("DICOMDIR")), ("77654033/CR1/6154", bundled(CT))),
    "cut/DICOMDIR": bundled("DICOMDIR")[:4000],
    "sent.dcm": zipped(
        ("a/ct.dcm", bundled(CT)), ("a/", b""), ("README", b"read me"), ("a/mr.dcm", bundled(MR))
    ),
    "slip.zip": zipped(("../../etc/cron.d/x", bundled(CT)), ("ok.dcm", bundled(MR))),
    "absolute.zip": zipped(("/etc/passwd", bundled(CT)), ("C:\\x.dcm", bundled(CT))),
    "link.zip": zipped((link("link.dcm"), b"/etc/passwd")),
    "bomb.zip": zipped(("bomb.dcm", bytes(4 * 1024**2)), ("ok.dcm", bundled(MR))),
    "nested.zip": zipped(("inner.zip", zipped(("ct.dcm", bundled(CT)))), packing=zipfile.ZIP_STORED),
    "overlapping.zip": overlapping(),
    "torn.zip": zipped(("ct.dcm", bundled(CT)))[:9000],
    "spoiled.zip": spoiled(zipped(("ct.dcm", bundled(CT)), packing=zipfile.ZIP_STORED)),
}
EXPECTED = {
    ("ct.dcm", 0): None,
    ("mr", 0): None,
    ("empty.dcm", 0): "file_empty",
    ("virus.dcm", 0): "dicom_not_part10",
    ("cut.dcm", 0): "dicom_truncated",
    ("DICOMDIR", 0): None,
    ("medium.zip", 1): None,
    ("medium.zip", 2): None,
    ("cut/DICOMDIR", 0): "dicom_truncated",
    ("sent.dcm", 1): None,
    ("sent.dcm", 3): "dicom_not_part10",
    ("sent.dcm", 4): None,
    ("slip.zip", 1): "archive_unsafe",
    ("slip.zip", 2): None,
    ("absolute.zip", 1): "archive_unsafe",
    ("absolute.zip", 2): "archive_unsafe",
    ("link.zip", 1): "archive_unsafe",
    ("bomb.zip", 1): "archive_unsafe",
    ("bomb.zip", 2): None,
    ("nested.zip", 1): "archive_unsafe",
    ("overlapping.zip", 0): "archive_unsafe",
    ("torn.zip", 0): "file_unreadable",
    ("spoiled.zip", 1): "file_unreadable",
    ("gone.dcm", 0): "file_unreadable",
    ("changed.dcm", 0): "file_unreadable",
}


@pytest.fixture(scope="module")
def files(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> DataFrame:
    folder = tmp_path_factory.mktemp("landing")
    rows = []
    for name, data in {**LANDED, "changed.dcm": bundled(CT)}.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(data)
        digest = "0" * 64 if name == "changed.dcm" else hashlib.sha256(data).hexdigest()
        rows.append(("pacs", "dicom", False, name, str(folder / name), len(data), digest, 1))
    rows.append(("pacs", "dicom", False, "gone.dcm", str(folder / "gone.dcm"), 9, "0" * 64, 1))
    return spark.createDataFrame(rows, FILE)


@pytest.fixture(scope="module")
def objects(files: DataFrame) -> dict[tuple[str, int], Row]:
    return {(r["file"], r["row"]): r for r in read_objects(files.coalesce(1)).collect()}


def test_every_file_meets_its_fate(objects: dict[tuple[str, int], Row]) -> None:
    assert {place: row["reason_code"] for place, row in objects.items()} == EXPECTED


def test_a_directory_of_objects_is_no_object_but_tells_of_them(objects: dict[tuple[str, int], Row]) -> None:
    plain, zipped_one = objects["DICOMDIR", 0], objects["medium.zip", 1]
    assert (plain["sop_instance_uid"], plain["header_json"], plain["has_pixels"]) == (None, None, None)
    assert plain["references_json"] == zipped_one["references_json"]
    told = json.loads(plain["references_json"])
    assert len(told) == 31
    assert told[0] == {
        "file": "77654033/CR1/6154", "sop_instance_uid": "1.3.6.1.4.1.5962.1.1.0.0.0.1196527414.5534.0.11",
        "sop_class_uid": "1.2.840.10008.5.1.4.1.1.1", "patient_key": "77654033", "modality": "CR",
        "study_uid": "1.3.6.1.4.1.5962.1.1.0.0.0.1196527414.5534.0.1",
        "series_uid": "1.3.6.1.4.1.5962.1.1.0.0.0.1196527414.5534.0.10",
    }  # fmt: skip
    assert {t["patient_key"] for t in told} == {"77654033", "98890234"}
    assert [place for place, row in objects.items() if row["references_json"] is not None] == [("DICOMDIR", 0), ("medium.zip", 1)]


def test_a_kept_object_says_what_it_is(objects: dict[tuple[str, int], Row]) -> None:
    row = objects["ct.dcm", 0]
    assert row["sop_instance_uid"] == "1.3.6.1.4.1.5962.1.1.1.1.1.20040119072730.12322"
    assert row["study_uid"] == "1.3.6.1.4.1.5962.1.2.1.20040119072730.12322"
    assert row["series_uid"] == "1.3.6.1.4.1.5962.1.3.1.1.20040119072730.12322"
    assert row["sop_class_uid"] == "1.2.840.10008.5.1.4.1.1.2"
    assert row["transfer_syntax_uid"] == "1.2.840.10008.1.2.1"
    assert (row["modality"], row["patient_key"], row["accession"]) == ("CT", "1CT1", None)
    assert (row["byte_size"], row["member"], row["has_pixels"]) == (39206, None, True)
    assert row["content_sha256"] == row["row_hash"] == hashlib.sha256(bundled(CT)).hexdigest()


def test_an_object_in_a_zip_is_the_same_object(objects: dict[tuple[str, int], Row]) -> None:
    plain, member = objects["mr", 0], objects["sent.dcm", 4]
    assert member["member"] == "a/mr.dcm"
    for name in ("sop_instance_uid", "content_sha256", "header_json", "byte_size"):
        assert member[name] == plain[name]


def test_a_refused_object_has_all_a_quarantine_needs(objects: dict[tuple[str, int], Row]) -> None:
    refused = [row for row in objects.values() if row["reason_code"]]
    assert all(row["detail"] and row["raw"] is not None and row["row_hash"] for row in refused)
    assert all(row["header_json"] is None for row in refused)


def test_kept_rows_have_the_promised_columns(files: DataFrame) -> None:
    made = {f.name: f.dataType for f in read_objects(files).schema}
    want = {f.name: f.dataType for f in promise("bronze.dicom_object").schema}
    assert {n: t for n, t in want.items() if n not in ("run_id", "ingested_at")} == {
        n: t for n, t in made.items() if n not in ("reason_code", "detail", "raw", "references_json")
    }
    index = {f.name: f.dataType for f in with_count(read_objects(files)).schema}
    for column in promise("bronze.dicom_directory").schema:
        assert column.name in ("run_id", "ingested_at") or index[column.name] == column.dataType


def test_partitioning_and_order_change_nothing(
    files: DataFrame, objects: dict[tuple[str, int], Row]
) -> None:
    shuffled = read_objects(files.orderBy("size_bytes").repartition(3)).collect()
    assert {(r["file"], r["row"]): r for r in shuffled} == objects
