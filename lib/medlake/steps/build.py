"""bronze → silver: each table judged, de-identified, published by key; what breaks a blocking rule set aside."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial, reduce
from typing import Any

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from medlake.clean import (
    condition_occurrence,
    death,
    device_exposure,
    drug_exposure,
    measurement,
    note,
    observation,
    person,
    procedure_occurrence,
    specimen,
    visit_occurrence,
)  # fmt: skip
from medlake.clean.judge import (
    PARTIAL,
    Event,
    Vault,
    common_rules,
    fit_rows,
    judge,
    set_aside,
    tallied,
    vault_keys,
    with_known_visit,
)  # fmt: skip
from medlake.clean.place import PLACES, Place
from medlake.clean.quarantine import OPEN, closing, from_build, received
from medlake.doors.lake import Within
from medlake.doors.ledger import TALLY, Counts
from medlake.grammar.contract import Promise, promise
from medlake.grammar.errors import UsageError
from medlake.grammar.quality import Rule
from medlake.privacy.deidentify import deidentified
from medlake.privacy.pseudonym import mapped_uid
from medlake.privacy.rewrite_notes import described, rewritten
from medlake.privacy.scrub_text import Pattern, deny_lists, own_words, replaced
from medlake.privacy.shift_dates import OLDEST_AGE, year_of_birth
from medlake.steps.context import Context
from medlake.steps.imaging import IMAGING, SERIES, STUDY, originals, staged, with_links, with_visit_of_study
from medlake.steps.news import News, news_of, of_mapped
from medlake.steps.places import published, sums_of
from medlake.steps.sources import Mapped, all_sources, count_all
from medlake.steps.unit_table import units

EVENTS: dict[str, Event] = {
    e.table: e
    for e in (
        visit_occurrence.EVENT, condition_occurrence.EVENT, drug_exposure.EVENT, procedure_occurrence.EVENT,
        measurement.EVENT, observation.EVENT, note.EVENT, death.EVENT, device_exposure.EVENT, specimen.EVENT, *IMAGING,
    )
}  # fmt: skip
UNREADABLE = "What was given does not read as its type, or is missing."
IMPRECISE = "The date is known to the year or month alone: its first day stands for it."
VISIT = visit_occurrence.EVENT.table
FIRST = (VISIT, "person", "procedure_occurrence", STUDY.table, SERIES.table)  # the rest wait for some of these


@dataclass
class Built:
    """What one build has judged so far. `news`: the part of the lake that it judges; None: all of it."""

    vault: Vault
    deny: DataFrame  # per person: what names him or her in free text
    patterns: tuple[Pattern, ...]
    news: News | None
    aside: list[DataFrame] = field(default_factory=list)
    tables: list[str] = field(default_factory=list)
    tallies: list[DataFrame] = field(default_factory=list)  # rows of vault.patient_tally
    places: dict[str, DataFrame] = field(default_factory=dict)  # table → judged rows that belong to no person
    rules: dict[str, dict[str, tuple[bool, str]]] = field(default_factory=dict)  # table → rule → blocks, because

    @property
    def persons(self) -> Within | None:
        """Chooses the rows of a silver table that are made anew; None: all of them."""
        return self.news.of_persons if self.news else None


def run(ctx: Context) -> Counts:
    """Rebuild every silver table (or the one named) from the current records of all whom new records concern."""
    wanted = _wanted(ctx.only)
    news = news_of(ctx, all_sources(ctx.conf))
    start: list[Callable[[], Any]] = [partial(Mapped, ctx), partial(_vault, ctx), partial(_deny, ctx)]
    every, vault, deny = ctx.side_by_side(start)
    mapped = every
    if news is not None:
        mapped = Mapped(ctx, news.bronze, news.of_patients)
        ctx.say(f"build: {count_all(news.persons):,} persons with news are judged again")
    built = Built(vault, deny, patterns(ctx), news)
    work: dict[str, Callable[[], None]] = {
        name: partial(_event, ctx, mapped, built, EVENTS[name])
        if name in EVENTS else partial(_person, ctx, mapped, built)
        for name in (*FIRST, *EVENTS) if name in wanted
    }  # fmt: skip
    if wanted & {e.table for e in IMAGING}:
        work["uid_map"] = partial(_uid_map, ctx, mapped)
    work |= {name: partial(_place, ctx, every, built, PLACES[name]) for name in PLACES if name in wanted}
    after = {name: {VISIT} for name in EVENTS if name != VISIT}
    after |= {STUDY.table: {VISIT, "procedure_occurrence"}, SERIES.table: {STUDY.table}}
    ctx.as_ready(work, after)
    end: list[Callable[[], Any]] = [partial(_write_tallies, ctx, built), partial(_quarantine, ctx, mapped, built)]
    counts: Counts = ctx.side_by_side(end)[0]
    return counts


def _wanted(only: str | None) -> set[str]:
    every = {"person", *EVENTS, *PLACES}
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
    ctx.lake.merge("silver.person", safe, within=built.persons)
    _judged(ctx, built, judged, "person", person.RULES)


def _event(ctx: Context, mapped: Mapped, built: Built, event: Event) -> None:
    """One table of events."""
    rows = staged(ctx, mapped, event) if event in IMAGING else mapped.rows(event)
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
    if event.table == "note" and ctx.settings.privacy.notes != "patterns":
        fit = _rewritten(ctx, fit)
        told = {"note_text": F.col("note_rewritten.text"), "n_replaced": F.col("note_rewritten.n_replaced")}
        safe = deidentified(fit, to, key=ctx.key, patterns=built.patterns, safe=told)
    else:
        told = {}
        if event in IMAGING and ctx.settings.privacy.notes != "patterns":
            fit, told = _described(ctx, fit, to)
        safe = deidentified(fit, to, key=ctx.key, patterns=built.patterns, safe=told)
        if event.table == "note":
            safe = safe.withColumn("n_replaced", replaced(F.col("note_text")))
    if event is SERIES:
        safe = with_visit_of_study(safe, ctx.lake.read("silver.imaging_study"))
    elif "visit_occurrence_id" in to.columns and event.table != "visit_occurrence" and event is not STUDY:
        safe = with_known_visit(safe, ctx.lake.read("silver.visit_occurrence"))
    ctx.lake.merge(name, safe.select(*to.columns), within=built.persons)
    _judged(ctx, built, judged, event.table, (*common_rules(event), *event.rules))


def _rewritten(ctx: Context, notes: DataFrame) -> DataFrame:
    """Fit notes with `note_rewritten`: their text without identifiers, and how many there were."""
    own = own_words(ctx.lake.read("vault.identity"), ctx.lake.read("vault.id_vault"))
    made = rewritten(F.col("note_text"), surrogates=ctx.settings.privacy.notes == "surrogates")
    return notes.join(own, on="person_id", how="left").withColumn("note_rewritten", made).localCheckpoint()


def _described(ctx: Context, fit: DataFrame, to: Promise) -> tuple[DataFrame, dict[str, Column]]:
    """Rows of images with what the vault knows of their persons, and their texts without names of anybody."""
    own = own_words(ctx.lake.read("vault.identity"), ctx.lake.read("vault.id_vault"))
    allowed = frozenset(ctx.conf.toml("dicom.toml").get("clean", {}).get("words", "").lower().split())
    texts = [name for name in to.of_class("free_text") if name in fit.columns]
    rows = fit.join(own, on="person_id", how="left")
    return rows, {name: described(F.col(name), allowed) for name in texts}


def _place(ctx: Context, every: Mapped, built: Built, place: Place) -> None:
    """One of the tables that belong to no person: always all of its rows, for they are few and come seldom."""
    judged = published(ctx, every, place)
    if judged is not None:
        with ctx.lock:
            built.places[place.event.table] = judged


def _judged(ctx: Context, built: Built, judged: DataFrame, table: str, rules: Sequence[Rule]) -> None:
    """Remember what a table's rows came to, for the ledger and the quarantine."""
    with ctx.lock:
        built.tallies.append(tallied(judged).withColumn("table", F.lit(table)))
        built.aside.append(set_aside(judged, f"silver.{table}"))
        built.tables.append(f"silver.{table}")
        built.rules[table] = {rule.name: (rule.blocks, rule.because) for rule in rules}


def _write_tallies(ctx: Context, built: Built) -> Counts:
    """ops.table_build and ops.dq_result: what all of a table's rows came to; returns the sums of those judged now."""
    tables = [name.removeprefix("silver.") for name in built.tables]
    before = ctx.lake.read("ops.table_build").where(F.col("table").isin([*tables, *built.places]))
    known = before.select("table", "source").distinct().limit(100_000).collect()
    sums = {tuple(row): (0,) * len(TALLY) for row in known}  # of some nothing may be left
    of_places = {at: said for name, rows in built.places.items() for at, said in sums_of(rows, name).items()}
    judged = sum((Counts(*said) for said in of_places.values()), Counts())
    if built.tallies:
        fresh = reduce(DataFrame.unionByName, built.tallies).localCheckpoint()
        ctx.lake.merge(
            "vault.patient_tally", fresh.select(*promise("vault.patient_tally").columns),
            scope=F.col("table").isin(tables), within=built.news.of_patients if built.news else None,
        )  # fmt: skip
        told = ctx.lake.read("vault.patient_tally").where(F.col("table").isin(tables))
        every = told.groupBy("table", "source", "rule").agg(
            *[F.sum(c).alias(c) for c in TALLY], F.bool_or("is_blocking").alias("is_blocking")
        )
        rows = [row.asDict() for row in every.limit(100_000).collect()]  # a row per table, source and rule
        sums |= {(r["table"], r["source"]): tuple(r[c] for c in TALLY) for r in rows if not r["rule"]}
        judged += Counts.of(fresh.where("rule = ''").agg(*[F.sum(c) for c in TALLY]).first())
        _write_rows(ctx, "ops.dq_result", [
            (ctx.night.number, *result) for table in tables
            for result in _results(table, built.rules[table], [r for r in rows if r["table"] == table])
        ])  # fmt: skip
    sums |= of_places
    if sums:
        _write_rows(ctx, "ops.table_build", [(ctx.night.number, *at, *said) for at, said in sums.items()])
    return judged


def _results(
    table: str, rules: Mapping[str, tuple[bool, str]], rows: Sequence[Mapping[str, Any]]
) -> Iterator[tuple[object, ...]]:
    """(table, rule, blocks, because, rows judged, rows that broke it), rules that nothing broke among them."""
    n_rows = sum(row["rows_in"] for row in rows if not row["rule"])
    broken = dict.fromkeys(rules, 0)
    for row in rows:
        if row["rule"]:
            broken[row["rule"]] = broken.get(row["rule"], 0) + row["rows_in"]
    blocking = {row["rule"] for row in rows if row["is_blocking"]}
    for name, n in broken.items():
        said = IMPRECISE if name.startswith(tuple(PARTIAL)) else UNREADABLE
        stops, why = rules.get(name, (name in blocking, said))
        yield table, name, stops, why, n_rows, n


def _write_rows(ctx: Context, name: str, rows: list[tuple[object, ...]]) -> None:
    ctx.lake.merge(name, ctx.spark.createDataFrame(rows, promise(name).schema), keep=True)


def _uid_map(ctx: Context, mapped: Mapped) -> None:
    """vault.uid_map: the way back from a mapped UID, for whoever may enter the restricted zone."""
    objects = mapped.bronze["dicom_object"]
    uids = objects.select(F.explode(F.array("study_uid", "series_uid", "sop_instance_uid")).alias("uid"))
    uids = reduce(DataFrame.unionByName, originals(mapped), uids)
    seen = uids.where(F.col("uid").isNotNull()).distinct()
    ctx.lake.merge("vault.uid_map", seen.withColumn("mapped_uid", mapped_uid(ctx.key, F.col("uid"))), keep=True)


def _quarantine(ctx: Context, mapped: Mapped, built: Built) -> None:
    """quarantine.record: tonight's rows of the tables built; what is fit by now is closed, and stays as history."""
    known, to = ctx.lake.read("quarantine.record"), promise("quarantine.record")
    parts, was = [], []
    if built.aside:
        rows = reduce(DataFrame.unionByName, built.aside)
        parts.append(from_build(rows, received(mapped.bronze), known, to, batch=ctx.night.number))
        entries = known.where(F.col("target").isin(built.tables) & (F.col("status") == OPEN))
        entries = built.news.of_patients(of_mapped(entries, mapped.sources)) if built.news else entries
        was.append(entries.select(*to.columns))
    if built.places:
        targets = {f"silver.{name}": rows for name, rows in built.places.items()}
        rows = reduce(DataFrame.unionByName, [set_aside(judged, target) for target, judged in targets.items()])
        unread = rows.select("source", "_record.file_sha256", "_record.row", F.col("mapped_row").alias("raw"))
        parts.append(from_build(rows, unread.where(F.lit(False)), known, to, batch=ctx.night.number))
        was.append(known.where(F.col("target").isin(list(targets)) & (F.col("status") == OPEN)).select(*to.columns))
    if not parts:
        return
    now = reduce(DataFrame.unionByName, parts).localCheckpoint()
    gone = reduce(DataFrame.unionByName, was).join(now.select("record_id"), on="record_id", how="left_anti")
    over = closing(gone.select(*to.columns), by=f"night {ctx.night.number}: fit, replaced or deleted by now")
    ctx.lake.merge("quarantine.record", now.unionByName(over), keep=True)
