"""Polars' CSV reader with inference over the whole file, to Delta by delta-rs."""

from __future__ import annotations

from pathlib import Path

from serve import serve


def start() -> None:
    import deltalake  # noqa: F401
    import polars  # noqa: F401


def run(_: object, data: Path, out: Path) -> None:
    import polars as pl

    for path in sorted(data.glob("*.csv")):
        table = pl.read_csv(path, try_parse_dates=True, infer_schema_length=None)
        table.write_delta(str(out / path.stem))


def count(_: object, data: Path, out: Path) -> int:
    from deltalake import DeltaTable

    return sum(DeltaTable(str(out / path.stem)).count() for path in data.glob("*.csv"))


if __name__ == "__main__":
    serve(start, run, count)
