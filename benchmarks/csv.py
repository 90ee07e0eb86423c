"""CSV → Delta, beside Spark's own reader with inference, Polars and DuckDB (both write by delta-rs).

    python -m benchmarks.csv [--small 20] [--large 100] [--runs 3]

medlake (benchmarks/peers/medlake_lake.py): digests of all files, every record read by the header's names and judged
(fields, quotes, bytes), kept as received in bronze.csv_record, what is broken in quarantine.record, then typed Delta
tables by declared casts. The peers infer types and write the typed tables alone; none keeps what it cannot read.
Data: four Synthea tables of samples/night1/south in copies.
"""

from __future__ import annotations

from benchmarks import data
from benchmarks.command import main
from benchmarks.environments import duckdb, polars
from benchmarks.harness import Contestant

CONTESTANTS = (
    Contestant("medlake", "medlake_lake.py", args=("csv",)),
    Contestant("Spark's reader", "spark_csv.py"),
    Contestant("Polars + deltalake", "polars_csv.py", polars, env={"POLARS_MAX_THREADS": "2"}),
    Contestant("DuckDB + deltalake", "duckdb_csv.py", duckdb),
)

if __name__ == "__main__":
    main("csv", CONTESTANTS, data.csv_tables, small=20, large=100, unit="records")
