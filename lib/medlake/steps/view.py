"""view: a SQL-on-FHIR ViewDefinition over the current resources of bronze. What it shows holds identifiers."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pyspark.sql import DataFrame, Observation
from pyspark.sql import functions as F

from medlake.doors.lake import Lake
from medlake.doors.ledger import Counts
from medlake.doors.outbox import Outbox, free_folder
from medlake.grammar.errors import UsageError
from medlake.sources.views import newest_resources
from medlake.standards import views
from medlake.standards.omop import harmless
from medlake.steps import ask
from medlake.steps.context import Context
from medlake.steps.export import Written, note
from medlake.steps.runner import Options

BRONZE = "bronze.fhir_resource"
FORMS = {"table": "parquet", "csv": "csv", "json": "json"}


def look(options: Options, file: Path, form: str, limit: int) -> None:
    """Print at most `limit` rows of a view; `options.extra`: source and lenient.

    Raises:
        UsageError: the file is no ViewDefinition, or a resource does not fit it.
    """
    definition = read_definition(file)
    lake = ask.lake_of(options)
    rows = views.to_rows(current(lake, definition["resource"], options.extra.get("source")), definition)
    if options.extra.get("lenient"):
        rows = rows.where(F.col(views.FAULT).isNull())
    shown = rows.limit(limit).collect()  # at most `limit`, as many as a terminal takes
    faults = [row[views.FAULT] for row in shown if row[views.FAULT] is not None]
    refuse(len(faults), max(faults, default=""))
    frame = lake.spark.createDataFrame(shown, rows.schema).drop(views.FAULT)
    ask.show(in_cells(frame) if form == "csv" else frame, form)


def run(ctx: Context) -> Counts:
    """Write a view's rows to the folder `ctx.to` (mode 0700): `ctx.only` is the file, `ctx.extra` the rest.

    Raises:
        UsageError: the file is no ViewDefinition, a resource does not fit it, or the folder holds something.
    """
    if ctx.only is None or ctx.to is None:
        raise UsageError("view: say a file and a folder with --to")
    definition = read_definition(Path(ctx.only))
    form = FORMS[ctx.extra.get("form") or "table"]
    rows = views.to_rows(current(ctx.lake, definition["resource"], ctx.extra.get("source")), definition)
    seen, fault = Observation("view"), F.col(views.FAULT)
    counts = {"n_rows": F.count_if(fault.isNull()), "n_faults": F.count_if(fault.isNotNull()), "said": F.max(fault)}
    counted = rows.observe(seen, *[column.alias(name) for name, column in counts.items()])
    frame = counted.where(fault.isNull()).drop(views.FAULT)
    to = free_folder(ctx.to, ctx.lake.root)
    with Outbox(to, is_private=True) as box:
        n_files = box.write(harmless(in_cells(frame)) if form == "csv" else frame, form, "")
        told = seen.get
        if not ctx.extra.get("lenient"):
            refuse(told["n_faults"], told["said"])
        name = str(definition.get("name") or definition["resource"])
        written = Written(name, told["n_rows"], n_files, n_left_out=told["n_faults"])
        note(ctx, "view", [written])
    left = f", {written.n_left_out:,} resources left out that do not fit" if written.n_left_out else ""
    ctx.say(f"view: {written.n_rows:,} rows with whatever identifiers they hold{left}: {to}")
    return Counts(rows_in=written.n_rows, kept=written.n_rows)


def refuse(n_faults: int, said: str) -> None:
    """Say why a view cannot be given.

    Raises:
        UsageError: there are resources that do not fit it.
    """
    if n_faults:
        raise UsageError(f"{said} ({n_faults:,} such resources). With --lenient they are left out.")


def current(lake: Lake, resource: str, source: str | None) -> DataFrame:
    """The JSON text of every current resource of a type, one column: its newest version, unless deleted."""
    mine = lake.read(BRONZE).where(F.col("resource_type") == resource)
    if source is not None:
        mine = mine.where(F.col("source") == source)
    return newest_resources(mine).select("json")


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
