"""view: a SQL-on-FHIR ViewDefinition over the current resources of bronze. What it shows holds identifiers."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, Observation
from pyspark.sql import functions as F

from medlake.doors.lake import Lake
from medlake.doors.ledger import Counts
from medlake.doors.outbox import Outbox, free_folder
from medlake.grammar.errors import UsageError
from medlake.sources.views import keep_newest
from medlake.standards import views
from medlake.standards.omop import harmless
from medlake.steps import ask
from medlake.steps.context import Context
from medlake.steps.export import Written, note
from medlake.steps.runner import Options

BRONZE = "bronze.fhir_resource"
FORMS = {"table": "parquet", "csv": "csv", "json": "json"}
SAID = re.compile(r"UsageError: (view: [^\n]*)")  # the only part of an executor's traceback that holds no value


def look(options: Options, file: Path, form: str, limit: int) -> None:
    """Print at most `limit` rows of a view; `options.extra`: source and lenient.

    Raises:
        UsageError: the file is no ViewDefinition, or a resource does not fit it.
    """
    definition = read_definition(file)
    lake = ask.lake_of(options)
    frame, _ = fitting(current(lake, definition["resource"], options.extra.get("source")), definition, options.extra)
    frame = frame.limit(limit)
    try:
        ask.show(in_cells(frame) if form == "csv" else frame, form)
    except PySparkException as fault:
        raise explained(fault) from None


def run(ctx: Context) -> Counts:
    """Write a view's rows to the folder `ctx.to` (mode 0700): `ctx.only` is the file, `ctx.extra` the rest.

    Raises:
        UsageError: the file is no ViewDefinition, a resource does not fit it, or the folder holds something.
    """
    if ctx.only is None or ctx.to is None:
        raise UsageError("view: say a file and a folder with --to")
    definition = read_definition(Path(ctx.only))
    form = FORMS[ctx.extra.get("form") or "table"]
    frame, seen = fitting(current(ctx.lake, definition["resource"], ctx.extra.get("source")), definition, ctx.extra)
    frame = harmless(in_cells(frame)) if form == "csv" else frame
    to = free_folder(ctx.to, ctx.lake.root)
    try:
        with Outbox(to, is_private=True) as box:
            n_files = box.write(frame, form, "")
            name, told = str(definition.get("name") or definition["resource"]), seen.get
            written = Written(name, told["n_rows"], n_files, n_left_out=told["n_faults"])
            note(ctx, "view", [written])
    except PySparkException as fault:
        raise explained(fault) from None
    left = f", {written.n_left_out:,} resources left out that do not fit" if written.n_left_out else ""
    ctx.say(f"view: {written.n_rows:,} rows with whatever identifiers they hold{left}: {to}")
    return Counts(rows_in=written.n_rows, kept=written.n_rows)


def fitting(
    resources: DataFrame, definition: Mapping[str, Any], extra: Mapping[str, str | None]
) -> tuple[DataFrame, Observation]:
    """The view's rows, and what is counted while they go by: n_rows, n_faults (resources left out when lenient)."""
    rows = views.to_rows(resources, definition, tell_faults=bool(extra.get("lenient")))
    seen, is_fault = Observation("view"), F.col(views.FAULT).isNotNull() if extra.get("lenient") else F.lit(False)
    counted = rows.observe(seen, F.count_if(~is_fault).alias("n_rows"), F.count_if(is_fault).alias("n_faults"))
    return counted.where(~is_fault).drop(views.FAULT), seen


def current(lake: Lake, resource: str, source: str | None) -> DataFrame:
    """The JSON text of every current resource of a type, one column: its newest version, unless deleted."""
    mine = lake.read(BRONZE).where(F.col("resource_type") == resource)
    if source is not None:
        mine = mine.where(F.col("source") == source)
    version = F.try_to_number("version_id", F.lit("9999999999"))
    newest = keep_newest(
        mine.withColumn("is_deletion", F.col("is_deleted")),
        partition=["source", "resource_type", "resource_id"],
        order=[F.col("last_updated"), version, F.col("batch"), F.col("file"), F.col("row")],
    )
    return newest.select("json")


def read_definition(file: Path) -> Mapping[str, Any]:
    """The ViewDefinition in a file, checked.

    Raises:
        UsageError: there is no such file, or it holds no sound ViewDefinition.
    """
    try:
        definition = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as fault:
        raise UsageError(f"view: {file} cannot be read as JSON ({type(fault).__name__})") from fault
    views.compile_view(definition)
    checked: Mapping[str, Any] = definition
    return checked


def in_cells(frame: DataFrame) -> DataFrame:
    """For CSV: a collection as its JSON."""
    arrays = [f.name for f in frame.schema.fields if f.dataType.typeName() == "array"]
    return frame.withColumns({name: F.to_json(name) for name in arrays}) if arrays else frame


def explained(fault: PySparkException) -> Exception:
    """The view's own words out of a Spark error; another error stays what it is."""
    said = SAID.search(str(fault))
    return UsageError(f"{said[1]}. With --lenient such resources are left out.") if said else fault
