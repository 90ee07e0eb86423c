"""bronze → silver: each table judged, de-identified, published by key; what breaks a blocking rule set aside."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import reduce

from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql import types as T

from medlake.clean import (
    condition_occurrence,
    death,
    drug_exposure,
    measurement,
    note,
    observation,
    person,
    procedure_occurrence,
    visit_occurrence,
)  # fmt: skip
from medlake.clean.judge import (
    Event,
    Vault,
    common_rules,
    fit_rows,
    judge,
    set_aside,
    vault_keys,
    with_known_visit,
)  # fmt: skip
from medlake.clean.quarantine import OPEN, closing, from_build, received
from medlake.doors.ledger import Counts
from medlake.grammar.contract import promise
from medlake.grammar.errors import UsageError
from medlake.privacy.deidentify import deidentified
from medlake.privacy.pseudonym import mapped_uid
from medlake.privacy.scrub_text import Pattern, deny_lists, replaced
from medlake.privacy.shift_dates import OLDEST_AGE, year_of_birth
from medlake.steps.context import Context
from medlake.steps.imaging import IMAGING, SERIES, STUDY, originals, staged, with_links, with_visit_of_study
from medlake.steps.sources import Mapped

EVENTS: dict[str, Event] = {
    e.table: e
    for e in (
        visit_occurrence.EVENT, condition_occurrence.EVENT, drug_exposure.EVENT, procedure_occurrence.EVENT,
        measurement.EVENT, observation.EVENT, note.EVENT, death.EVENT, *IMAGING,
    )
}  # fmt: skip
UNREADABLE = "What was given does not read as its type, or is missing."
TALLY = ("rows_in", "rows_kept", "rows_quarantined", "rows_merged")


@dataclass
class Built:
    """What one build has judged so far."""

    vault: Vault
    deny: DataFrame  # per person: what names him or her in free text
    patterns: tuple[Pattern, ...]
    aside: list[DataFrame] = field(default_factory=list)
    counts: list[Counts] = field(default_factory=list)
    tables: list[str] = field(default_factory=list)
    tallies: list[tuple[object, ...]] = field(default_factory=list)  # rows of ops.table_build
    results: list[tuple[object, ...]] = field(default_factory=list)  # rows of ops.dq_result


def run(ctx: Context) -> Counts:
    """Rebuild every silver table (or the one named) from the current records of all sources."""
    wanted = _wanted(ctx.only)
    mapped = Mapped(ctx)
    built = Built(_vault(ctx), _deny(ctx), patterns(ctx))
    if "person" in wanted:
        _person(ctx, mapped, built)
    images = [e.table for e in IMAGING if e.table in wanted]
    first = [name for name in ("visit_occurrence",) if name in wanted]
    rest = [name for name in EVENTS if name in wanted and name not in (*first, *images)]
    study = [name for name in images if name == STUDY.table]  # looks for its visit and procedure; its series follow it
    for names in (first, rest, study, [name for name in images if name not in study]):
        ctx.side_by_side([_event(ctx, mapped, built, EVENTS[name]) for name in names], threads=3)
    if wanted & {e.table for e in IMAGING}:
        _uid_map(ctx, mapped)
    _quarantine(ctx, built)
    _write_tallies(ctx, built)
    return sum(built.counts, Counts())


def _wanted(only: str | None) -> set[str]:
    every = {"person", *EVENTS}
    name = (only or "silver").removeprefix("silver.")
    if name in ("silver", ""):
        return every
    if name not in every:
        raise UsageError(f"build {only}: choose silver or one of {', '.join(sorted(every))}")
    return {name}


def patterns(ctx: Context) -> tuple[Pattern, ...]:
    """What looks like an identifier in free text, from conf/scrub.toml."""
    said = ctx.conf.toml("scrub.toml").get("pattern", {})
    return tuple(Pattern(name, p["regex"], p["tag"]) for name, p in said.items())


def _vault(ctx: Context) -> Vault:
    keys, identity = ctx.lake.read("vault.id_vault"), ctx.lake.read("vault.identity")
    every = vault_keys(keys, identity, ctx.lake.read("vault.date_offset")).localCheckpoint()
    return Vault(every, ctx.night.as_of.isoformat())


def _deny(ctx: Context) -> DataFrame:
    return deny_lists(ctx.lake.read("vault.identity"), ctx.lake.read("vault.id_vault")).localCheckpoint()


def _person(ctx: Context, mapped: Mapped, built: Built) -> None:
    """silver.person, from all sources' records of each person."""
    rows = mapped.typed(person.EVENT)
    if rows is None:
        return
    judged = person.judged_persons(rows, as_of=built.vault.as_of).localCheckpoint()
    keys = ctx.lake.read("vault.id_vault").where("is_current")
    shifted = keys.join(ctx.lake.read("vault.date_offset"), on="person_id", how="inner")
    made = person.persons(fit_rows(judged), shifted.drop("is_current", "own_person_id", "event_key"))
    as_of = F.to_date(F.lit(built.vault.as_of))
    given = F.greatest("year_of_birth", F.year(as_of) - F.lit(OLDEST_AGE)).cast("int")
    exact = year_of_birth(F.col("birth_date"), F.col("shift_days"), as_of)
    to = promise("silver.person")
    born = F.when(F.col("birth_date").isNotNull(), exact).when(F.col("year_of_birth").isNotNull(), given)
    safe = made.withColumn("year_of_birth", born).select(*to.columns)
    kept = ctx.lake.merge("silver.person", safe).rows
    sums = _tallies(ctx, built, judged, "person", {r.name: (r.blocks, r.because) for r in person.RULES})
    built.counts.append(Counts(sums.rows_in, kept, sums.quarantined, sums.merged + sums.kept - kept))
    built.aside.append(set_aside(judged, "silver.person"))
    built.tables.append("silver.person")


def _event(ctx: Context, mapped: Mapped, built: Built, event: Event) -> Callable[[], None]:
    """The work of one table of events, to be run side by side with others."""
    rows = staged(ctx, mapped, event) if event in IMAGING else mapped.rows(event)
    return lambda: _publish(ctx, mapped, built, event, rows)


def _publish(ctx: Context, mapped: Mapped, built: Built, event: Event, rows: DataFrame | None) -> None:
    name, to = f"silver.{event.table}", promise(f"silver.{event.table}")
    if rows is None:
        return
    whole = measurement.event(units(ctx)) if event.table == "measurement" else event
    # Checkpoints cut the plan: the mapping's expressions run once, not once for each rule that looks at them.
    judged = judge(rows.localCheckpoint(), whole, to, built.vault).localCheckpoint()
    fit = fit_rows(judged)
    if event is STUDY:
        fit = with_links(ctx, mapped, built.vault, fit)
    if to.of_class("free_text"):  # the lists are long: they join only rows whose text they are for
        fit = fit.join(built.deny, on="person_id", how="left")
    safe = deidentified(fit, to, key=ctx.key, patterns=built.patterns)
    if event.table == "note":
        safe = safe.withColumn("n_replaced", replaced(F.col("note_text")))
    if event is SERIES:
        safe = with_visit_of_study(safe, ctx.lake.read("silver.imaging_study"))
    elif "visit_occurrence_id" in to.columns and event.table != "visit_occurrence" and event is not STUDY:
        safe = with_known_visit(safe, ctx.lake.read("silver.visit_occurrence"))
    ctx.lake.merge(name, safe.select(*to.columns))
    rules = {r.name: (r.blocks, r.because) for r in (*common_rules(event), *event.rules)}
    sums = _tallies(ctx, built, judged, event.table, rules)
    with ctx.lock:
        built.counts.append(sums)
        built.aside.append(set_aside(judged, name))
        built.tables.append(name)


def _tallies(
    ctx: Context, built: Built, judged: DataFrame, table: str, rules: dict[str, tuple[bool, str]]
) -> Counts:
    """Remember a table's counts per source and per rule for the ledger; returns its sums.

    One pass over the judged rows; what comes back has a row per source and rule, whatever the data's size.
    """
    codes = F.explode_outer(F.array_distinct(F.concat(F.array(F.lit("")), "reason_codes", "qc"))).alias(
        "rule"
    )
    bad, double = F.size("reason_codes") > 0, F.col("is_duplicate")
    blocks = F.array_contains("reason_codes", F.col("rule"))
    told = judged.select("source", "reason_codes", "is_duplicate", codes).groupBy("source", "rule").agg(
        F.count("*").alias("rows_in"), F.count_if(~bad & ~double).alias("rows_kept"),
        F.count_if(bad).alias("rows_quarantined"), F.count_if(~bad & double).alias("rows_merged"),
        F.bool_or(blocks).alias("blocks"),
    )  # fmt: skip
    rows = [row.asDict() for row in told.limit(100_000).collect()]
    whole = [row for row in rows if row["rule"] == ""]
    night, n_rows = ctx.night.number, sum(row["rows_in"] for row in whole)
    broken = dict.fromkeys(rules, 0)
    for row in rows:
        if row["rule"]:
            broken[row["rule"]] = broken.get(row["rule"], 0) + row["rows_in"]
    blocking = {row["rule"] for row in rows if row["blocks"]}
    with ctx.lock:
        built.tallies += [(night, table, row["source"], *[row[c] for c in TALLY]) for row in whole]
        for name, n in broken.items():
            stops, why = rules.get(name, (name in blocking, UNREADABLE))
            built.results.append((night, table, name, stops, why, n_rows, n))
    return sum((Counts(*[row[c] for c in TALLY]) for row in whole), Counts())


def _write_tallies(ctx: Context, built: Built) -> None:
    for name, rows in (("ops.table_build", built.tallies), ("ops.dq_result", built.results)):
        ctx.lake.merge(name, ctx.spark.createDataFrame(rows, promise(name).schema), keep=True)


def _uid_map(ctx: Context, mapped: Mapped) -> None:
    """vault.uid_map: the way back from a mapped UID, for whoever may enter the restricted zone."""
    objects = ctx.lake.read("bronze.dicom_object")
    uids = objects.select(F.explode(F.array("study_uid", "series_uid", "sop_instance_uid")).alias("uid"))
    uids = reduce(DataFrame.unionByName, originals(mapped), uids)
    seen = uids.where(F.col("uid").isNotNull()).distinct()
    ctx.lake.merge("vault.uid_map", seen.withColumn("mapped_uid", mapped_uid(ctx.key, F.col("uid"))), keep=True)


def _quarantine(ctx: Context, built: Built) -> None:
    """quarantine.record: tonight's rows of the tables built; what is fit by now is closed, and stays as history."""
    if not built.aside:
        return
    bronze = received(
        *[
            ctx.lake.read(f"bronze.{t}")
            for t in (
                "csv_record", "fhir_resource", "hl7_message", "note_document", "dicom_object", "raster_image",
                "dicom_directory",
            )
        ]
    )
    aside = reduce(DataFrame.unionByName, built.aside)
    known, to = ctx.lake.read("quarantine.record"), promise("quarantine.record")
    rows = from_build(aside, bronze, known, to, batch=ctx.night.number)
    rows = rows.localCheckpoint()
    was = known.where(F.col("target").isin(built.tables) & (F.col("status") == OPEN))
    gone = was.join(rows.select("record_id"), on="record_id", how="left_anti").select(*to.columns)
    over = closing(gone, by=f"night {ctx.night.number}: fit, replaced or deleted by now")
    ctx.lake.merge("quarantine.record", rows.unionByName(over), keep=True)


def units(ctx: Context) -> DataFrame:
    """(code, unit, factor, shift, canonical_unit, low, high) from conf/units.toml; a null code means any code."""
    said = ctx.conf.toml("units.toml")
    rows: list[tuple[str | None, str, float, float, str, float | None, float | None]] = [
        (None, unit, 1.0, 0.0, canonical, None, None)
        for canonical, spellings in said.get("unit", {}).items()
        for unit in {canonical, *spellings}
    ]
    for code, m in said.get("measurement", {}).items():
        low, high = (None if m.get(k) is None else float(m[k]) for k in ("low", "high"))
        for unit, rule in {m["unit"]: 1.0, **m.get("convert", {})}.items():
            factor, shift = rule if isinstance(rule, list) else (rule, 0.0)
            rows.append((code, unit, float(factor), float(shift), m["unit"], low, high))
    schema = T.StructType(
        [
            T.StructField(n, k())
            for n, k in (
                ("code", T.StringType), ("unit", T.StringType), ("factor", T.DoubleType), ("shift", T.DoubleType),
                ("canonical_unit", T.StringType), ("low", T.DoubleType), ("high", T.DoubleType),
            )
        ]
    )  # fmt: skip
    return ctx.spark.createDataFrame(rows, schema)
