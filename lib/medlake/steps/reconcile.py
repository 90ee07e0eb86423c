"""Everything that came in, and where it is: one table of counts per source, from the files to silver."""

from __future__ import annotations

from functools import reduce

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from medlake.doors.lake import Lake
from medlake.grammar.errors import QualityGateError
from medlake.sources.manifest import UNCLAIMED
from medlake.steps.ask import lake_of, show
from medlake.steps.retry import BY
from medlake.steps.runner import Options
from medlake.steps.sources import in_bronze

COUNTS = ("came_in", "kept", "quarantined", "merged", "found")


def reconcile(options: Options, form: str) -> None:
    """Print one row per source and stage; `found` is what is counted in the tables themselves.

    Raises:
        QualityGateError: a row does not add up.
    """
    lake = lake_of(options, "reconcile")
    told = reduce(DataFrame.unionByName, [files(lake), records(lake), silver(lake)]).localCheckpoint()
    order = F.array_position(F.lit(["files", "records", "silver"]), F.col("stage"))
    show(told.orderBy("source", order, "table"), form)
    wrong = told.where("ok = 'no'").count()
    if wrong:
        raise QualityGateError(f"reconcile: {wrong} row(s) do not add up; they say no under ok.")


def files(lake: Lake) -> DataFrame:
    """Contents of claimed files: in bronze, else in quarantine, else known in every record before (merged)."""
    by = ["source", "file_sha256"]
    seen = lake.read("bronze.landing_file").where(F.col("source_table") != UNCLAIMED).select(*by).distinct()
    aside = lake.read("quarantine.record").where("target LIKE 'bronze.%'").select(*by)
    merging = lake.read("ops.batch_manifest").where("rows_merged > 0").select("source").distinct()
    marked = (
        seen.join(in_bronze(lake, *by).distinct().withColumn("b", F.lit(1)), on=by, how="left")
        .join(aside.distinct().withColumn("q", F.lit(1)), on=by, how="left")
        .join(merging.withColumn("m", F.lit(1)), on="source", how="left")
    )
    neither = F.col("b").isNull() & F.col("q").isNull()
    counts = marked.groupBy("source").agg(
        F.count("*").alias("came_in"), F.count("b").alias("kept"),
        F.count_if(F.col("b").isNull() & F.col("q").isNotNull()).alias("quarantined"),
        F.count_if(neither & F.col("m").isNotNull()).alias("merged"), F.count("b").alias("found"),
    )  # fmt: skip
    return _judged(counts, "files", F.lit(""))


def records(lake: Lake) -> DataFrame:
    """What the manifest says came in, beside what bronze holds; an entry that a retry closed is in bronze by now."""
    by = ["source", "source_table"]
    sums = {"rows_in": "came_in", "rows_kept": "kept", "rows_quarantined": "quarantined", "rows_merged": "merged"}
    said = lake.read("ops.batch_manifest").groupBy(*by).agg(*[F.sum(c).alias(n) for c, n in sums.items()])
    by_retry = F.coalesce(F.col("closed_by").startswith(BY), F.lit(False))
    aside = lake.read("quarantine.record").where(F.col("target").startswith("bronze.") & ~by_retry)
    found = in_bronze(lake, *by).groupBy(*by).agg(F.count("*").alias("found"))
    lying = aside.groupBy(*by).agg(F.count("*").alias("lying"))
    whole = said.join(found, on=by, how="full_outer").join(lying, on=by, how="full_outer").fillna(0)
    return _judged(whole, "records", F.col("source_table"), F.col("lying") == F.col("quarantined"))


def silver(lake: Lake) -> DataFrame:
    """The last build of each table: mapped rows and where they went, beside what the table holds of the source.

    A person may be of several sources: silver.person is not counted by source, its build is.
    """
    built = lake.read("ops.table_build")
    last = built.groupBy("table").agg(F.max("night_id").alias("night_id"))
    sums = {"rows_in": "came_in", "rows_kept": "kept", "rows_quarantined": "quarantined", "rows_merged": "merged"}
    said = built.join(last, on=["table", "night_id"], how="left_semi").withColumnsRenamed(sums)
    tables = [r["table"] for r in last.select("table").limit(100).collect() if r["table"] != "person"]
    held = [lake.read(f"silver.{t}").select("source", F.lit(t).alias("table")) for t in tables]
    if held:
        found = reduce(DataFrame.unionByName, held).groupBy("source", "table").agg(F.count("*").alias("found"))
        said = said.join(found, on=["source", "table"], how="full_outer")
    else:
        said = said.withColumn("found", F.lit(None).cast("bigint"))
    is_person = F.col("table") == "person"
    whole = said.fillna(0).withColumn("found", F.when(is_person, F.col("kept")).otherwise(F.col("found")))
    return _judged(whole, "silver", F.col("table"))


def _judged(counts: DataFrame, stage: str, table: Column, also: Column | None = None) -> DataFrame:
    adds_up = F.col("came_in") == F.col("kept") + F.col("quarantined") + F.col("merged")
    holds = adds_up & (F.col("found") == F.col("kept")) & (F.lit(True) if also is None else also)
    return counts.select(
        "source", F.lit(stage).alias("stage"), table.alias("table"), *[F.col(c).cast("bigint") for c in COUNTS],
        F.when(holds, "yes").otherwise("no").alias("ok"),
    )  # fmt: skip
