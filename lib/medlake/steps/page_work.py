"""What the page says about the night's work: intake, quarantine, changes, steps, tables."""

from __future__ import annotations

from typing import Any

from pyspark.sql import DataFrame, Row
from pyspark.sql import functions as F

from medlake.gate import summary
from medlake.grammar.contract import all_promises
from medlake.privacy.disclosure import hide_small_counts
from medlake.report import operations
from medlake.report.work import (
    Change,
    FailedCheck,
    Intake,
    Refusal,
    SetAside,
    StepRun,
    TableChecks,
    TableVersion,
    Weighed,
)
from medlake.steps.context import Context
from medlake.steps.gate import PUBLISHED
from medlake.steps.sources import source_toml


def work(ctx: Context) -> dict[str, Any]:
    """The fields of PageContent about the night's work, by name."""
    night, runs = ctx.night.number, ctx.lake.read("ops.run")
    about = {
        n: str(source_toml(ctx.conf, n)[0].get("about", "")) for n in ctx.conf.folders("sources")
    }
    intake = operations.intake(ctx.lake.read("ops.batch_manifest"), night).collect()
    set_aside = operations.set_aside(ctx.lake.read("quarantine.record").where("status = 'open'")).collect()
    refusals = operations.refusals(ctx.lake.read("ops.source_fault"), night).collect()
    steps = operations.steps(runs, night).collect()
    return {
        "intake": tuple(Intake(about=about.get(row["source"], ""), **row.asDict()) for row in intake),
        "set_aside": tuple(SetAside(**row.asDict()) for row in set_aside),
        "refusals": tuple(Refusal(**row.asDict()) for row in refusals),
        "weights": _weights(ctx),
        **_checks(ctx),
        "changes": _changes(ctx, runs),
        "steps": tuple(StepRun(**row.asDict()) for row in steps),
        "versions": tuple(TableVersion(**row.asDict()) for row in operations.versions(runs).collect()),
    }


def _weights(ctx: Context) -> tuple[Weighed, ...]:
    """A pair is of two records of people: few pairs are few people. No total of them is published."""
    if ctx.lake.version("vault.link_score") is None:
        return ()
    counts = operations.match_weights(ctx.lake.read("vault.link_score"))
    safe = hide_small_counts(counts, "n", minimum=ctx.settings.privacy.small_count)
    return tuple(Weighed(**row.asDict()) for row in safe.orderBy("decision", F.desc("band")).collect())


def _checks(ctx: Context) -> dict[str, Any]:
    """What the checks of the published tables say. Few people are not counted out: their share is not shown."""
    is_published = (F.col("night_id") == ctx.night.number) & (F.col("stage") == PUBLISHED)
    every = ctx.lake.read("ops.dq_check").where(is_published).drop("sample_keys").limit(100_000).collect()
    told, small = summary.told(every), ctx.settings.privacy.small_count  # bounded by the checks, not by the rows
    return {
        "checks": tuple(TableChecks(*counts) for counts in summary.by_table(told)),
        "failed_checks": tuple(_failed(row, small) for row in summary.failed(told)),
    }


def _failed(row: Row, small: int) -> FailedCheck:
    is_of_people = row["level"] == "table" or _is_of_people(f"silver.{row['table']}")
    parts = (row["n_violated"], row["n_denominator"] - row["n_violated"])
    is_shown = not is_of_people or all(n == 0 or n >= small for n in parts)
    before = row["percent_before"]
    return FailedCheck(
        **{name: row[name] for name in ("table", "field", "concept", "because", "blocks")},
        allowed=row["threshold_percent"] / 100,
        share=row["percent_violated"] / 100 if is_shown else None,
        share_before=before / 100 if is_shown and before is not None else None,
    )


def _is_of_people(table: str) -> bool:
    """Whether a row of the table stands for a person, so that few rows are few people."""
    return "person_id" in all_promises()[table].key if table in all_promises() else True


def _safe(n: int, table: str, small: int) -> int | None:
    return None if _is_of_people(table) and 0 < n < small else n


def _changes(ctx: Context, runs: DataFrame) -> tuple[Change, ...]:
    small = ctx.settings.privacy.small_count
    return tuple(
        Change(
            row["table"],
            *(_safe(row[n], row["table"], small) for n in ("n_inserted", "n_updated", "n_deleted")),
        )
        for row in operations.changes(runs, ctx.night.number).collect()
    )
