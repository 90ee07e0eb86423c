"""DuckDB's CSV reader with inference over the whole file, to Delta by delta-rs, batch by batch."""

from __future__ import annotations

from pathlib import Path

from serve import serve

CORES = 2


def start() -> object:
    import deltalake  # noqa: F401
    import duckdb

    return duckdb.connect(config={"threads": CORES})


def run(duck: object, data: Path, out: Path) -> int:
    from deltalake import write_deltalake

    n_rows = 0
    for path in sorted(data.glob("*.csv")):
        table = duck.sql(f"SELECT * FROM read_csv('{path}', sample_size = -1)")  # type: ignore[attr-defined]
        write_deltalake(str(out / path.stem), table.fetch_arrow_reader(65_536))
        n_rows += duck.sql(f"SELECT count(*) FROM read_csv('{path}', sample_size = -1)").fetchone()[0]  # type: ignore[attr-defined]
    return n_rows


if __name__ == "__main__":
    serve(start, run)
