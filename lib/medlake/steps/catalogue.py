"""ops.fhir_path: which paths the FHIR resources of a batch have, and which of them no view reads."""

from __future__ import annotations

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from medlake.grammar.contract import promise
from medlake.sources.fhir_paths import counted, with_reading
from medlake.steps.context import Context

TABLE = "ops.fhir_path"


def catalogued(ctx: Context, resources: DataFrame) -> None:
    """Count the paths of whole batches anew (`resources`: all that bronze.fhir_resource has of them).

    Twice is once: a batch is counted again from its start. What is read is judged by today's conf, for all batches.
    """
    to = promise(TABLE)
    new = counted(resources).localCheckpoint()
    known = ctx.lake.read(TABLE).join(new.select("batch").distinct(), on="batch", how="left_anti")
    every = new.unionByName(known.select(*new.columns))
    told = with_reading(every, ctx.conf.texts("formats", "fhir", suffix=".ddl"))
    ctx.lake.merge(TABLE, told.select(*to.columns), keep=True)
    unread = told.join(new.select("batch").distinct(), on="batch", how="left_semi").where(~F.col("is_read"))
    n = unread.select("source", "resource_type", "path").distinct().count()
    if n:
        ctx.say(f"ingest: {n:,} paths of FHIR resources are kept in bronze and read by no view: see {TABLE}")
