"""export: the open zone in OMOP's, MEDS's or FHIR's own format, or as DICOM files.

It is noted in ops.export before it is handed out.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pyspark.sql import DataFrame, Observation
from pyspark.sql import functions as F
from pyspark.sql import types as T

from medlake.doors.ledger import Counts, code_version, now
from medlake.doors.outbox import Outbox, free_folder
from medlake.grammar.contract import promise
from medlake.grammar.errors import ConfigError, ContractError, UsageError
from medlake.standards import concepts, meds, omop, resources
from medlake.steps import export_dicom
from medlake.steps.context import Context

OPEN = ("silver", "gold")
NO_VOCABULARY = "none"


@dataclass(frozen=True)
class Written:
    """One table that went out, in rows."""

    table: str
    n_rows: int
    n_files: int
    n_left_out: int = 0
    n_cut: int = 0


def run(ctx: Context) -> Counts:
    """Export to `ctx.to` as the standard named in `ctx.only`.

    Raises:
        UsageError: there is nothing to export, or the folder holds something.
    """
    if ctx.only not in EXPORTS or ctx.to is None:
        raise UsageError(f"export: say one of {', '.join(EXPORTS)} and a folder with --to")
    if ctx.lake.version("silver.person") is None:
        raise UsageError(f"export: there are no people in {ctx.lake.root}. Run a night first.")
    to = free_folder(ctx.to, ctx.lake.root)
    ctx.vocabulary = ctx.vocabulary or ctx.settings.export.vocabulary
    with Outbox(to) as box:
        written = EXPORTS[ctx.only](ctx, box)
        note(ctx, ctx.only, written)
    for table in written:
        left = f", {table.n_left_out:,} left out" if table.n_left_out else ""
        cut = f", {table.n_cut:,} cells cut to the allowed length" if table.n_cut else ""
        ctx.say(f"export: {table.table}: {table.n_rows:,} rows{left}{cut}")
    ctx.say(f"export: {to}")
    n_rows = sum(table.n_rows for table in written)
    return Counts(rows_in=n_rows, kept=n_rows)


def note(ctx: Context, standard: str, written: list[Written]) -> None:
    """Write down what goes out, and from which versions of which tables."""
    versions = json.dumps(ctx.lake.activity.read, sort_keys=True)
    number, at = uuid.uuid4().hex, now()
    says = vocabulary_version(ctx)
    rows = [
        (number, w.table, standard, ctx.night.number, at, w.n_rows, w.n_left_out, w.n_cut, w.n_files, versions, says)
        for w in written
    ]
    frame = ctx.spark.createDataFrame(rows, promise("ops.export").schema)
    ctx.lake.append("ops.export", frame.coalesce(1), txn=(f"medlake/export/{number}", 1))


def read_open(ctx: Context, name: str) -> DataFrame:
    """A table of the open zone; an export reads nothing else."""
    if name.partition(".")[0] not in OPEN:
        raise ConfigError(f"export: {name} is not in the open zone")
    return ctx.lake.read(name)


def to_omop(ctx: Context, box: Outbox) -> list[Written]:
    """parquet/<table>/ and csv/<table>/ for every table of conf/standards/omop.toml."""
    tables = omop.specification(ctx.conf.toml("standards", "omop.toml"))
    silver = {t.of: read_open(ctx, t.of) for t in tables.values() if "." in t.of}
    mapping = code_mapping(ctx, tables, silver).localCheckpoint()
    derived = {
        "observation_period": omop.observation_periods({name: silver[f"silver.{name}"] for name in omop.OBSERVED}),
        "code_map": concepts.as_source_map(mapping),
        "cdm_source": _cdm_source(ctx),
    }
    return [_write_omop(box, table, {**silver, **derived}[table.of], mapping) for table in tables.values()]


def _write_omop(box: Outbox, table: omop.Table, rows: DataFrame, mapping: DataFrame) -> Written:
    seen = Observation(table.name)
    ready = omop.to_omop(rows, table, mapping).observe(seen, *omop.counted(table)).drop("_n_cut")
    box.write(ready, "parquet", f"parquet/{table.name}/")
    told = seen.get
    if told["n_null"]:
        raise ContractError(f"omop {table.name}", [f"{told['n_null']} row(s) lack a value that OMOP requires"])
    n_files = box.write(omop.harmless(box.read(ready, f"parquet/{table.name}")), "csv", f"csv/{table.name}/")
    return Written(table.name, told["n_rows"], n_files, n_cut=told["n_cut"])


def code_mapping(ctx: Context, tables: dict[str, omop.Table], silver: dict[str, DataFrame]) -> DataFrame:
    """Every code and unit of the exported tables with its concepts (see `concepts.code_map`)."""
    coded = [t for t in tables.values() if t.code and t.vocabulary]
    codes = [concepts.codes_of(silver[t.of], t.code or "", t.vocabulary, t.label) for t in coded]
    codes += [concepts.codes_of(silver[t.of], t.unit, None, None) for t in tables.values() if t.unit]
    return concepts.code_map(codes, *[_athena(ctx, file) for file in concepts.FILES])


def _athena(ctx: Context, file: str) -> DataFrame:
    """One of Athena's files as text; without a vocabulary one without rows."""
    needed = concepts.FILES[file]
    if ctx.vocabulary is None:
        return ctx.spark.createDataFrame([], T.StructType([T.StructField(c, T.StringType()) for c in needed]))
    path = ctx.vocabulary / file
    if not path.is_file():
        raise ConfigError(f"vocabulary: {ctx.vocabulary} has no file {file}. Download it from OHDSI's Athena.")
    rows = ctx.spark.read.csv(str(path), sep="\t", header=True, quote="", escape="")
    lacking = [c for c in needed if c not in rows.columns]
    if lacking:
        raise ConfigError(f"vocabulary: {file} lacks the columns {', '.join(lacking)}; it must be separated by tabs")
    return rows.select(*needed)


def vocabulary_version(ctx: Context) -> str | None:
    """What Athena's VOCABULARY.csv says of itself; null without a vocabulary, `unknown` without that file."""
    if ctx.vocabulary is None:
        return None
    path = Path(ctx.vocabulary) / "VOCABULARY.csv"
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    cells = [line.split("\t") for line in lines]
    head = cells[0] if cells else []
    for row in cells[1:]:
        said = dict(zip(head, row, strict=False))
        if said.get("vocabulary_id") == "None":  # Athena's row about the release as a whole
            return said.get("vocabulary_version") or "unknown"
    return "unknown"


def _cdm_source(ctx: Context) -> DataFrame:
    said, today = ctx.settings.export, ctx.night.as_of
    version = vocabulary_version(ctx) or NO_VOCABULARY
    about = "De-identified: one pseudonym and one date shift per person. Years of birth 0 are unknown."
    columns = {
        "cdm_source_name": said.name, "cdm_source_abbreviation": said.abbreviation, "cdm_holder": said.holder,
        "source_description": about, "source_release_date": today, "cdm_release_date": today,
        "vocabulary_version": version,
    }  # fmt: skip
    dates = ("source_release_date", "cdm_release_date")
    kinds = [T.StructField(c, T.DateType() if c in dates else T.StringType()) for c in columns]
    return ctx.spark.createDataFrame([tuple(columns.values())], T.StructType(kinds))


def to_meds(ctx: Context, box: Outbox) -> list[Written]:
    """data/*.parquet and metadata/ as MEDS lays them out."""
    silver = {name: read_open(ctx, f"silver.{name}") for name in meds.TABLES}
    events = meds.events(silver)
    seen = Observation("events")
    lost = F.count_if(~F.col("is_static") & F.col("time").isNull()).alias("n_lost")
    files = box.write_arrow(meds.sharded(events.observe(seen, lost)), meds.SCHEMA, "data/").collect()  # one row a file
    box.write(meds.codes(events).coalesce(1), "parquet", "metadata/codes")
    box.write(meds.splits(silver["person"]).coalesce(1), "parquet", "metadata/subject_splits")
    for name in ("codes", "subject_splits"):
        box.rename(f"metadata/{name}00000.parquet", f"metadata/{name}.parquet")
    said = meds.metadata(
        name=ctx.settings.export.name, version=f"night {ctx.night.number}", etl_version=code_version(),
        created_at=now().isoformat(),
    )  # fmt: skip
    box.note("metadata/dataset.json", json.dumps(said, indent=2) + "\n")
    return [Written("data", sum(f["n_rows"] for f in files), len(files), n_left_out=seen.get["n_lost"])]


def to_fhir(ctx: Context, box: Outbox) -> list[Written]:
    """<Type>.<number>.ndjson as FHIR's bulk export names them, for four types of resources."""
    systems = ctx.conf.toml("standards", "fhir.toml")["system"]
    silver = {
        name: read_open(ctx, f"silver.{name}")
        for name in ("person", "death", "condition_occurrence", "measurement", "observation", "imaging_study",
                     "image_occurrence", "imaging_instance")
    }  # fmt: skip
    study, series, instance = (silver[n] for n in ("imaging_study", "image_occurrence", "imaging_instance"))
    made = {
        "Patient": resources.patients(silver["person"], silver["death"]),
        "Condition": resources.conditions(silver["condition_occurrence"], systems),
        "Observation": resources.observations(silver["measurement"], silver["observation"], systems),
        "ImagingStudy": resources.imaging_studies(study, series, instance),
    }
    written = []
    for kind, lines in made.items():
        seen = Observation(kind)
        n_files = box.write(lines.observe(seen, F.count(F.lit(1)).alias("n_rows")), "text", f"{kind}.")
        written.append(Written(kind, seen.get["n_rows"], n_files))
    return written


def to_dicom(ctx: Context, box: Outbox) -> list[Written]:
    """<study>/<series>/<object>.dcm, named by the UIDs of the open zone."""
    policy = export_dicom.policy_of(ctx)
    if not policy.can_search:
        ctx.say("export: Tesseract is not installed: pixels are not searched for writing (extra `ocr`)")
    done = export_dicom.write_objects(ctx, box, policy)
    held = {reason: n for reason, (n, _) in done.items() if reason is not None}
    for reason, n in sorted(held.items()):
        ctx.say(f"export: held back: {reason}: {n:,} ({export_dicom.HELD[reason]})")
    n_files, _ = done.get(None, (0, 0))
    return [Written("object", n_files, n_files, n_left_out=sum(held.values()))]


EXPORTS: dict[str, Callable[[Context, Outbox], list[Written]]] = {
    "omop": to_omop, "meds": to_meds, "fhir": to_fhir, "dicom": to_dicom,
}  # fmt: skip
