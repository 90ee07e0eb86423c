"""DICOM headers → table: the whole header as PS3.18 JSON and typed columns, beside pydicom in a loop and in Spark.

    python -m benchmarks.dicom [--small 20] [--large 100] [--runs 3]

medlake (benchmarks/peers/medlake_lake.py): digests of all files, every declared length followed to the end of the
file, header as JSON into bronze.dicom_object, what is broken into quarantine.record, and the typed columns of
silver.imaging_instance read from that JSON by Spark, written as Delta. pydicom: `dcmread(stop_before_pixels)` and
`to_json_dict` per file, the same columns, one Parquet file per process (loop) or a Delta table (Spark); it checks
nothing and reads no byte behind the header. Data: pydicom's bundled files that both sides read, in copies.
"""

from __future__ import annotations

from benchmarks import data
from benchmarks.command import main
from benchmarks.harness import Contestant

CONTESTANTS = (
    Contestant("medlake", "medlake_lake.py", args=("dicom",)),
    Contestant("pydicom loop (2 processes)", "pydicom_loop.py"),
    Contestant("pydicom-in-Spark (local[2])", "pydicom_spark.py"),
)

if __name__ == "__main__":
    main("dicom", CONTESTANTS, data.dicom, small=20, large=100, unit="objects")
