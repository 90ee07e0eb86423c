"""DICOM Part 10 files and zips of them → one row per object, read on the executors.

Every object ends as a bronze row or as a row with a stable reason; one broken file stops no other. Files
are read and walked in place: pixels are stepped over, never loaded, and nothing is written.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from typing import Any, BinaryIO

import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql import types as T
from pyspark.sql.pandas.types import to_arrow_schema

from medlake.sources.dicom_archive import Member, members
from medlake.sources.dicom_directory import references_json
from medlake.sources.dicom_header import (
    IDENTIFIERS,
    check,
    pixel_element,
    quiet_pydicom,
    read_header,
    value,
)
from medlake.sources.dicom_stream import (
    CHUNK_BYTES,
    DIRECTORY_CLASS,
    BrokenObjectError,
    structure,
)
from medlake.sources.dicom_values import as_text
from medlake.sources.reading import STANDS, VERDICT

PAYLOAD = [
    T.StructField("member", T.StringType(), True),
    T.StructField("sop_instance_uid", T.StringType(), True),
    T.StructField("series_uid", T.StringType(), True),
    T.StructField("study_uid", T.StringType(), True),
    T.StructField("sop_class_uid", T.StringType(), True),
    T.StructField("transfer_syntax_uid", T.StringType(), True),
    T.StructField("modality", T.StringType(), True),
    T.StructField("patient_key", T.StringType(), True),
    T.StructField("accession", T.StringType(), True),
    T.StructField("byte_size", T.LongType(), True),
    T.StructField("content_sha256", T.StringType(), True),
    T.StructField("header_json", T.StringType(), True),
    T.StructField("has_pixels", T.BooleanType(), True),
]
DIRECTORY = [T.StructField("references_json", T.StringType(), True)]  # of a DICOMDIR alone
MAX_RAW_BYTES = 64 * 1024  # of a refused object; the file itself stays in landing
BATCH_ROWS = 256
BATCH_CHARS = 4 * 1024**2  # of headers and raws, so that a batch stays small in memory

Row = dict[str, Any]


def read_objects(files: DataFrame) -> DataFrame:
    """One row per DICOM object of `files`: kept (`reason_code` null) or refused (reason, detail, raw).

    `files` has the columns of the manifest (`FILE`), one row per landing file. A zip is known by its
    first bytes and gives a row per member: `row` is its place in the archive from 1 and `member` its name;
    a plain file has row 0 and no member. A DICOMDIR is an index of objects and no object: its row has nothing but
    `references_json`.
    `raw` is the base64 of the first 64 KiB; `row_hash` is `content_sha256`, the digest of the object's bytes.
    """
    schema = T.StructType([*STANDS, *PAYLOAD, *DIRECTORY, *VERDICT])
    arrow = to_arrow_schema(schema)

    def run(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        rows: list[Row] = []
        n_chars = 0
        for row in (row for batch in batches for file in batch.to_pylist() for row in objects_of_file(file)):
            rows.append(row)
            n_chars += sum(len(row.get(name) or "") for name in ("header_json", "references_json", "raw"))
            if len(rows) >= BATCH_ROWS or n_chars >= BATCH_CHARS:
                yield pa.RecordBatch.from_pylist(rows, schema=arrow)
                rows, n_chars = [], 0
        if rows:
            yield pa.RecordBatch.from_pylist(rows, schema=arrow)

    return files.mapInArrow(run, schema)


def with_count(directories: DataFrame) -> DataFrame:
    """Rows of DICOMDIRs with `n_references`: how many objects each names."""
    return directories.withColumn("n_references", F.coalesce(F.json_array_length("references_json"), F.lit(0)))


def objects_of_file(file: Row) -> Iterator[Row]:
    """The rows of one landing file (a row of the manifest)."""
    stands = {name: file[name] for name in ("source", "source_table", "file", "file_sha256", "batch")}
    stands["row_hash"] = file["file_sha256"]
    if file["size_bytes"] == 0:
        said = "The file holds no byte."
        yield {**stands, "row": 0, "byte_size": 0, "reason_code": "file_empty", "detail": said, "raw": ""}
        return
    last_row = -1
    try:
        for member in members(file["uri"]):
            last_row = member.row
            at = {"member": member.name, "row": member.row, "byte_size": member.size}
            yield {**stands, **at, **_object_row(member, file["file_sha256"] if member.name is None else None)}
    except Exception as error:  # one poison file stops nothing else; its message may quote a name
        said = f"The file cannot be read ({type(error).__name__})."
        yield {**stands, "row": last_row + 1, "reason_code": "file_unreadable", "detail": said, "raw": ""}


def _object_row(member: Member, expected_sha256: str | None) -> Row:
    """What one stream adds to its row."""
    if member.stream is None:
        return _refused(member, "", member.fault or BrokenObjectError("file_unreadable", "no stream"))
    sha256 = _sha256(member.stream)
    try:
        if member.fault is not None:
            raise member.fault
        if expected_sha256 is not None and sha256 != expected_sha256:
            raise BrokenObjectError("file_unreadable", "the file changed after it was listed")
        if member.size == 0:
            raise BrokenObjectError("file_empty", "0 bytes")
        with quiet_pydicom():
            return _kept(member.stream, member.size, sha256)
    except BrokenObjectError as fault:
        return _refused(member, sha256, fault)
    except Exception as error:  # a poison object stops nothing else; its message may quote a value
        return _refused(member, sha256, BrokenObjectError("file_unreadable", type(error).__name__))


def _kept(stream: BinaryIO, size: int, sha256: str) -> Row:
    found = structure(stream, size)
    if found.media_class == DIRECTORY_CLASS:
        told = references_json(stream, size)
        return {"content_sha256": sha256, "row_hash": sha256, "references_json": told}
    header = read_header(found)
    check(found, header)
    return {
        **{name: value(header, tag) for name, tag in IDENTIFIERS.items()},
        "transfer_syntax_uid": found.transfer_syntax,
        "modality": value(header, "00080060"),
        "patient_key": value(header, "00100020"),
        "accession": value(header, "00080050"),
        "content_sha256": sha256,
        "row_hash": sha256,
        "header_json": as_text(header),
        "has_pixels": pixel_element(found) is not None,
    }


def _refused(member: Member, sha256: str, fault: BrokenObjectError) -> Row:
    raw = b""
    if member.stream is not None:
        member.stream.seek(0)
        raw = member.stream.read(MAX_RAW_BYTES)
    known = {"content_sha256": sha256, "row_hash": sha256} if sha256 else {}
    return {
        **known,
        "reason_code": fault.code,
        "detail": f"{fault.detail}; sha256={sha256 or 'unknown'}; size_bytes={member.size}",
        "raw": base64.b64encode(raw).decode("ascii"),
    }


def _sha256(stream: BinaryIO) -> str:
    digest = hashlib.sha256()
    stream.seek(0)
    while chunk := stream.read(CHUNK_BYTES):
        digest.update(chunk)
    return digest.hexdigest()
