"""The readers alone, in one process without Spark, in CPU time: what a busy machine cannot spoil as much.

    python -m benchmarks.reader [--runs 5]

DICOM: one object from the open file to its row (digest of all bytes, walk to the end of the file, JSON, checks)
beside pydicom's `dcmread(stop_before_pixels)` and `json.dumps(to_json_dict())`. FHIR: one line from its bytes to its
row, with the quick parser and with the strict one alone. The least of the runs counts, in turn.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pydicom

from benchmarks import data
from medlake.sources import fhir
from medlake.sources.dicom import objects_of_file
from medlake.sources.dicom_header import quiet_pydicom
from medlake.sources.reading import file_digest, lines

MAX_LINE_BYTES = 16 * 1024**2


def least(work: Mapping[str, Callable[[], Any]], runs: int) -> dict[str, float]:
    """Seconds of CPU of each, the least of `runs` turns."""
    found = dict.fromkeys(work, float("inf"))
    for _ in range(runs):
        for name, call in work.items():
            began = time.process_time()
            call()
            found[name] = min(found[name], time.process_time() - began)
    return found


def dicom(paths: list[Path]) -> dict[str, Callable[[], Any]]:
    """medlake's and pydicom's way through the files, one after the other."""
    files = [
        {"source": "s", "source_table": "", "file": p.name, "uri": str(p), "batch": 1, "size_bytes": p.stat().st_size,
         "file_sha256": file_digest(str(p))} for p in paths
    ]  # fmt: skip

    def own() -> None:
        for file in files:
            for _ in objects_of_file(file):
                pass

    def peer() -> None:
        with quiet_pydicom():
            for path in paths:
                json.dumps(pydicom.dcmread(path, stop_before_pixels=True).to_json_dict())

    return {"medlake": own, "pydicom": peer}


def parsing(texts: list[bytes]) -> dict[str, Callable[[], Any]]:
    """medlake's parser of a FHIR line, and the strict one of the standard library alone."""

    def quick() -> None:
        for text in texts:
            fhir.parse(text)

    def strict() -> None:
        for text in texts:
            json.loads(text, **fhir.STRICT)

    return {"medlake": quick, "strict parser alone": strict}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.reader")
    parser.add_argument("--runs", type=int, default=5)
    runs = parser.parse_args().runs
    paths = data.readable()
    texts = [
        line
        for path in sorted(data.made("fhir", 1, data.fhir).iterdir())
        for _, line in lines(str(path), max_bytes=MAX_LINE_BYTES)
    ]
    print("| | records | ms of CPU a record | times medlake |\n|---|---:|---:|---:|")
    for title, work, n in (("DICOM", dicom(paths), len(paths)), ("FHIR line", parsing(texts), len(texts))):
        found = least(work, runs)
        for name, seconds in found.items():
            ratio = seconds / found["medlake"]
            print(f"| {title}, {name} | {n:,} | {seconds / n * 1e3:.3f} | {ratio:.1f} |", flush=True)


if __name__ == "__main__":
    main()
