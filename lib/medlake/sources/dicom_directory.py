"""The records of a DICOMDIR: which objects a medium is said to hold (PS3.3 annex F, PS3.10 clause 8).

A DICOMDIR is an index and no object. It is used for one thing: to know what should have come with it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, BinaryIO

from pydicom import dcmread
from pydicom.dataset import Dataset

from medlake.sources.dicom_stream import BrokenObjectError

MAX_DIRECTORY_BYTES = 16 * 1024**2  # some 40,000 records; a DVD holds fewer
INACTIVE = 0  # Record In-use Flag: the record is to be passed over
NO_RECORD = 0  # an offset that leads nowhere
KEPT = {"PATIENT": {"patient_key": "PatientID"}, "STUDY": {"study_uid": "StudyInstanceUID"},
        "SERIES": {"series_uid": "SeriesInstanceUID", "modality": "Modality"}}  # fmt: skip


def references_json(stream: BinaryIO, size: int) -> str:
    """The objects that a DICOMDIR names, as a JSON array in the order of its records.

    Each has `file` (path from the folder of the DICOMDIR, parts joined by /), `sop_instance_uid`, `sop_class_uid`,
    and what the records above it say: `patient_key`, `study_uid`, `series_uid`, `modality`; null where nothing is said.

    Raises:
        BrokenObjectError: `file_unreadable` where it is too large or damaged.
    """
    if size > MAX_DIRECTORY_BYTES:
        raise BrokenObjectError("file_unreadable", f"a DICOMDIR of more than {MAX_DIRECTORY_BYTES} bytes")
    try:
        stream.seek(0)
        told = list(_references(dcmread(stream)))
    except BrokenObjectError:
        raise
    except Exception as error:  # pydicom raises whatever its parsers raise; its message may quote a value
        raise BrokenObjectError("file_unreadable", f"a damaged DICOMDIR: {type(error).__name__}") from None
    return json.dumps(told, sort_keys=True, separators=(",", ":"))


def _references(directory: Dataset) -> Iterator[dict[str, Any]]:
    records = directory.get("DirectoryRecordSequence")
    if records is None:
        raise BrokenObjectError("dicom_truncated", "a DICOMDIR without its records")
    above = _above(directory, list(records))
    for n, record in enumerate(records):
        if record.get("RecordInUseFlag") == INACTIVE or not record.get("ReferencedFileID"):
            continue
        said = record.ReferencedFileID
        parts = [said] if isinstance(said, str) else list(said)
        yield {
            "file": "/".join(str(part) for part in parts),
            "sop_instance_uid": _text(record.get("ReferencedSOPInstanceUIDInFile")),
            "sop_class_uid": _text(record.get("ReferencedSOPClassUIDInFile")),
            **dict.fromkeys(("patient_key", "study_uid", "series_uid", "modality")),
            **above.get(n, {}),
        }


def _above(directory: Dataset, records: list[Dataset]) -> dict[int, dict[str, str | None]]:
    """Record → what the records above it say; by the offsets, not by the order, which may be any."""
    place = {record.seq_item_tell: n for n, record in enumerate(records)}
    found: dict[int, dict[str, str | None]] = {}
    start = directory.get("OffsetOfTheFirstDirectoryRecordOfTheRootDirectoryEntity") or NO_RECORD
    waiting: list[tuple[int, dict[str, str | None]]] = [(start, {})]
    while waiting:
        offset, said = waiting.pop()
        n = place.get(offset)
        if n is None or n in found:  # nowhere, or a circle
            continue
        record = records[n]
        words = KEPT.get(str(record.get("DirectoryRecordType")), {})
        mine = said | {name: _text(record.get(keyword)) for name, keyword in words.items()}
        found[n] = mine
        waiting.append((record.get("OffsetOfTheNextDirectoryRecord") or NO_RECORD, said))
        waiting.append((record.get("OffsetOfReferencedLowerLevelDirectoryEntity") or NO_RECORD, mine))
    return found


def _text(value: Any) -> str | None:
    return str(value).strip("\0 ") or None if value is not None else None
