"""medlake itself: the reading room, the lake's doors and the typed views: what `medlake ingest` and a build's views do.

Files are listed and digested by executors (bronze.landing_file), every record is read and judged and appended to
its bronze table whole, what is refused goes to quarantine.record, and the typed tables are made from bronze as the
lake holds it. Left out of a night: the ledger, the manifest per batch, silver and everything after it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import cast

from pyspark import StorageLevel
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from serve import serve

from medlake.clean.imaging_instance import described
from medlake.clean.quarantine import from_reading
from medlake.doors import session
from medlake.doors.lake import Lake
from medlake.doors.ledger import Night
from medlake.doors.settings import Conf, load
from medlake.grammar.contract import promise
from medlake.sources.declared import Source, declared
from medlake.sources.manifest import list_files
from medlake.sources.views import fhir_views, table_view
from medlake.steps.context import Context, Progress
from medlake.steps.ingest import reading

CORES = 2
# conf/spark/local.conf without the lines that it says to take out for many gigabytes.
MANY_GIGABYTES = {
    "spark.master": f"local[{CORES}]", "spark.driver.memory": "3g", **session.GENERATED,
    "spark.driver.extraJavaOptions": "-XX:+UseParallelGC",
}  # fmt: skip
# The benchmark's typed tables: column and type, in the order of the files.
TYPED = {
    "encounters": "ID string, START timestamp, STOP timestamp, PATIENT string, DEPARTMENT string, "
    "ENCOUNTERCLASS string, CODE bigint, DESCRIPTION string, REASONCODE bigint, REASONDESCRIPTION string",
    "medications": "START timestamp, STOP timestamp, PATIENT string, ENCOUNTER string, CODE bigint, "
    "DESCRIPTION string, DISPENSES int, REASONCODE bigint, REASONDESCRIPTION string",
    "observations": "ID string, DATE timestamp, PATIENT string, ENCOUNTER string, CATEGORY string, CODE string, "
    "DESCRIPTION string, VALUE string, UNITS string, TYPE string",
    "procedures": "START timestamp, STOP timestamp, PATIENT string, ENCOUNTER string, CODE bigint, DESCRIPTION string, "
    "REASONCODE bigint, REASONDESCRIPTION string",
}


def start() -> SparkSession:
    return session.start("medlake benchmark", {**Conf().spark("local"), **MANY_GIGABYTES})


def source(form: str) -> Source:
    """The data's folder as a source."""
    tables = {name: {"files": f"{name}.csv", "separator": ",", "encoding": "utf-8"} for name in TYPED}
    said = {"csv": {"table": tables}, "fhir": {"files": ["*.ndjson"]}, "dicom": {"files": ["**/*"]}}
    return declared(form, {"format": form, **said[form]}, {}, {})


def read(lake: Lake, files: DataFrame, of: Source) -> DataFrame:
    """The records of the files, as `medlake ingest` reads them."""
    chosen = Context(
        lake.spark, lake, load(Conf(), "local"), Conf(), night=cast(Night, None), key=b"", progress=Progress()
    )
    return reading(chosen, {of.name: of}, files, of.format)


def landed(lake: Lake, data: Path, of: Source) -> DataFrame:
    """The files of the folder, written down and spread over the tasks."""
    folder = lake.spark.createDataFrame([(of.name, str(data))], "source string, folder string")
    lake.append("bronze.landing_file", list_files(folder, {of.name: of}, batch=1), txn=("benchmark/files", 1))
    return lake.read("bronze.landing_file").repartition(CORES * 4, "file_sha256")


def keep(lake: Lake, records: DataFrame, target: str) -> None:
    """Append what can be kept and set the rest aside."""
    read = records.persist(StorageLevel.MEMORY_AND_DISK)
    stamp = {"run_id": F.lit("benchmark"), "ingested_at": F.current_timestamp()}
    fit = read.where(F.col("reason_code").isNull()).withColumns(stamp)
    lake.append(target, fit.select(*promise(target).columns), txn=("benchmark/records", 1))
    known, quarantine = lake.read("quarantine.record"), promise("quarantine.record")
    aside = from_reading(read.where(F.col("reason_code").isNotNull()), target, known, quarantine)
    lake.merge("quarantine.record", aside, keep=True)
    read.unpersist()


def dicom(spark: SparkSession, data: Path, out: Path) -> None:
    lake, of = Lake(spark, out), source("dicom")
    keep(lake, read(lake, landed(lake, data, of), of), "bronze.dicom_object")
    typed = described(lake.read("bronze.dicom_object"))
    typed.write.format("delta").save(str(out / "series" / "instance"))


def fhir(spark: SparkSession, data: Path, out: Path) -> None:
    lake, of = Lake(spark, out), source("fhir")
    keep(lake, read(lake, landed(lake, data, of), of), "bronze.fhir_resource")
    present = {path.name.partition(".")[0] for path in data.iterdir()}
    shapes = {k: ddl for k, ddl in Conf().texts("formats", "fhir", suffix=".ddl").items() if k in present}
    for kind, view in fhir_views(lake.read("bronze.fhir_resource"), of, shapes).items():
        view.write.format("delta").save(str(out / "typed" / kind))


def csv(spark: SparkSession, data: Path, out: Path) -> None:
    lake, of = Lake(spark, out), source("csv")
    keep(lake, read(lake, landed(lake, data, of), of), "bronze.csv_record")
    bronze = lake.read("bronze.csv_record")
    for name, ddl in TYPED.items():
        columns = [column.split() for column in ddl.split(", ")]
        view = table_view(bronze, of, name, [column for column, _ in columns])
        typed = view.select(*[F.col(column).try_cast(kind).alias(column) for column, kind in columns])
        typed.write.format("delta").save(str(out / "typed" / name))


HELD = {"csv": "bronze.csv_record", "dicom": "bronze.dicom_object", "fhir": "bronze.fhir_resource"}


def count(spark: SparkSession, data: Path, out: Path) -> int:
    return Lake(spark, out).read(HELD[sys.argv[1]]).count()


KINDS: dict[str, Callable[[SparkSession, Path, Path], None]] = {"csv": csv, "dicom": dicom, "fhir": fhir}

if __name__ == "__main__":
    serve(start, KINDS[sys.argv[1]], count)
