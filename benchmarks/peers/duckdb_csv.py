"""DuckDB's CSV reader with inference over the whole file, to Delta by delta-rs, batch by batch."""

from __future__ import annotations

from pathlib import Path

from serve import serve

CORES = 2


def start() -> object:
    import deltalake  # noqa: F401
    import duckdb

    return duckdb.connect(config={"threads": CORES})


def run(duck: object, data: Path, out: Path) -> None:
    from deltalake import write_deltalake

    for path in sorted(data.glob("*.csv")):
        table = duck.sql(f"SELECT * FROM read_csv('{path}', sample_size = -1)")  # type: ignore[attr-defined]
        write_deltalake(str(out / path.stem), table.to_arrow_reader(65_536))


def count(duck: object, data: Path, out: Path) -> int:
    tables = f"read_parquet('{out}/*/*.parquet', union_by_name = true)"
    return int(duck.sql(f"SELECT count(*) FROM {tables}").fetchall()[0][0])  # type: ignore[attr-defined]


if __name__ == "__main__":
    serve(start, run, count)
