"""The data of the benchmarks: samples/ and pydicom's own files, multiplied; made once below .cache/benchmarks/data."""

from __future__ import annotations

import csv
import gzip
import json
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pydicom
from pydicom.data import DATA_ROOT

from benchmarks.harness import CACHE, ROOT
from medlake.sources.dicom import objects_of_file
from medlake.sources.dicom_header import quiet_pydicom
from medlake.sources.reading import file_digest

NORTH, SOUTH = ROOT / "samples" / "night1" / "north", ROOT / "samples" / "night1" / "south"
UUID = re.compile(r"\b([0-9a-f]{8})(-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})\b")
SOUTH_ID = re.compile(r"[ERS]\d{5,}")  # encounters, results and subjects of South Clinic
SPREAD = 0x9E3779B1  # odd, so that no two copies of an id meet
# The resource types that both medlake and its peers make a typed table of.
TYPES = (
    "Condition", "DocumentReference", "Encounter", "ImagingStudy", "Immunization", "Medication", "MedicationRequest",
    "Observation", "Patient", "Procedure",
)  # fmt: skip
TABLES = ("encounters", "medications", "observations", "procedures")


def made(name: str, copies: int, make: Callable[[Path, int], None]) -> Path:
    """The folder of a data set, made where it is not there yet."""
    folder = CACHE / "data" / f"{name}-{copies}"
    if not (folder / ".made").exists():
        shutil.rmtree(folder, ignore_errors=True)
        (folder / name).mkdir(parents=True)
        make(folder / name, copies)
        (folder / ".made").touch()
    return folder / name


def renumbered(text: str, copy: int) -> str:
    """The text with every UUID in it turned into that of a copy; what pointed at one another still does."""
    return UUID.sub(lambda m: f"{(int(m[1], 16) + copy * SPREAD) % 2**32:08x}{m[2]}", text)


def fhir(folder: Path, copies: int) -> None:
    """One NDJSON file per type and copy; records that are broken on purpose in the samples are left out."""
    for kind in TYPES:
        lines = list(_sound_lines(kind))
        for copy in range(copies):
            text = "\n".join(renumbered(line, copy) for line in lines)
            (folder / f"{kind}.{copy:03d}.ndjson").write_text(text + "\n", encoding="utf-8")


def _sound_lines(kind: str) -> Iterator[str]:
    seen: set[str] = set()
    for path in sorted(NORTH.glob(f"{kind}.*")):
        text = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        for line in text.decode("utf-8", errors="replace").splitlines():
            try:
                resource = json.loads(line)
            except ValueError:
                continue
            is_kind = isinstance(resource, dict) and resource.get("resourceType") == kind and "\ufffd" not in line
            if is_kind and UUID.fullmatch(str(resource.get("id"))) and resource["id"] not in seen:
                seen.add(resource["id"])
                yield line


def dicom(folder: Path, copies: int) -> None:
    """pydicom's bundled objects, those that both sides read, each copy with SOP instance UIDs of its own."""
    for place, path in enumerate(readable()):
        data = path.read_bytes()
        uid = pydicom.dcmread(path, stop_before_pixels=True).SOPInstanceUID.encode()
        for copy in range(copies):
            tail = f".{place:02d}{copy:05d}".encode()
            (folder / f"{copy:05d}").mkdir(exist_ok=True)
            (folder / f"{copy:05d}" / f"{place:02d}.dcm").write_bytes(data.replace(uid, uid[: -len(tail)] + tail))


def readable() -> list[Path]:
    """The bundled files that are kept by medlake, told by pydicom's JSON model, and have a UID to number."""
    found = []
    for path in sorted((Path(DATA_ROOT) / "test_files").rglob("*.dcm")):
        file = {
            "source": "dicom", "source_table": "", "file": path.name, "uri": str(path), "batch": 1,
            "size_bytes": path.stat().st_size, "file_sha256": file_digest(str(path)),
        }  # fmt: skip
        if any(row.get("reason_code") for row in objects_of_file(file)):
            continue
        try:
            with quiet_pydicom():
                header = pydicom.dcmread(path, stop_before_pixels=True)
                json.dumps(header.to_json_dict())
        except Exception:  # pydicom raises whatever its parsers raise; such a file is no common ground
            continue
        if len(str(header.get("SOPInstanceUID", ""))) > 20 and str(header.SOPInstanceUID).encode() in path.read_bytes():
            found.append(path)
    return found


def csv_tables(folder: Path, copies: int) -> None:
    """Synthea's tables as South Clinic sends them, one file each, rows that are broken on purpose left out."""
    for table in TABLES:
        with (SOUTH / f"{table}.csv").open(encoding="utf-8", errors="replace", newline="") as lines:
            header, *rows = list(csv.reader(lines))
        sound = [row for row in rows if len(row) == len(header) and row != header and "\ufffd" not in "".join(row)]
        with (folder / f"{table}.csv").open("w", encoding="utf-8", newline="") as out:
            writer = csv.writer(out, lineterminator="\n")
            writer.writerow(header)
            for copy in range(copies):
                mark = f"x{copy}" if copy else ""
                writer.writerows([v + mark if SOUTH_ID.fullmatch(v) else v for v in row] for row in sound)
