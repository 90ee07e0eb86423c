"""A plain loop of pydicom over the files in as many processes as there are cores, one Parquet file each."""

from __future__ import annotations

import multiprocessing
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from pydicom_header import arrow_schema, quiet, row
from serve import serve

CORES = 2
BATCH_ROWS = 1024


def share(place: int, paths: list[str], out: str) -> None:
    """One process's files."""
    quiet()
    schema = arrow_schema()
    with pq.ParquetWriter(f"{out}/{place}.parquet", schema) as writer:
        for start in range(0, len(paths), BATCH_ROWS):
            rows = [row(path) for path in paths[start : start + BATCH_ROWS]]
            writer.write_batch(pa.RecordBatch.from_pylist(rows, schema=schema))


def start() -> object:
    return multiprocessing.get_context("fork").Pool(CORES)


def run(pool: object, data: Path, out: Path) -> None:
    paths = sorted(str(path) for path in data.rglob("*.dcm"))
    jobs = [(place, paths[place::CORES], str(out)) for place in range(CORES)]
    pool.starmap(share, jobs)  # type: ignore[attr-defined]


def count(pool: object, data: Path, out: Path) -> int:
    return sum(pq.read_metadata(path).num_rows for path in out.glob("*.parquet"))


if __name__ == "__main__":
    serve(start, run, count)
