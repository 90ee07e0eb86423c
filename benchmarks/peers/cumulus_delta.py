"""cumulus-etl as its command runs it, again and again in one process, so that its Spark stays warm."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path
from typing import Any

from serve import serve


def start() -> Any:
    import cumulus_fhir_support as cfs
    from cumulus_etl.formats.deltalake import DeltaLakeFormat

    DeltaLakeFormat.initialize_class(cfs.FsPath(tempfile.mkdtemp()))
    return DeltaLakeFormat


def run(delta: Any, data: Path, out: Path) -> None:
    from cumulus_etl import cli

    group = ["--export-group", "benchmark", "--export-timestamp", "2026-01-01T00:00:00+00:00"]
    command = ["etl", str(data), str(out / "tables"), str(out / "phi"), "--allow-missing-resources", *group]
    asyncio.run(cli.main(command))


def count(delta: Any, data: Path, out: Path) -> int:
    tables = [path for path in (out / "tables").iterdir() if not path.name.startswith(("etl__", "JobConfig", "_"))]
    return sum(delta.spark.read.format("delta").load(str(t)).count() for t in tables if (t / "_delta_log").is_dir())


if __name__ == "__main__":
    serve(start, run, count)
