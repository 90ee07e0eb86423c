"""bronze → silver: each table judged, de-identified, published by key; what breaks a blocking rule set aside."""

from __future__ import annotations

from collections.abc import Callable, Sequence
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
from medlake.doors.ledger import Counts
from medlake.grammar.contract import Promise, promise
from medlake.grammar.errors import UsageError
from medlake.grammar.quality import Rule
from medlake.privacy.deidentify import deidentified
from medlake.privacy.pseudonym import mapped_uid
from medlake.privacy.rewrite_notes import described, rewritten
from medlake.privacy.scrub_text import Pattern, deny_lists, own_words, replaced
from medlake.privacy.shift_dates import OLDEST_AGE, year_of_birth
from medlake.steps.context import Context
from medlake.steps.gate import Gate
from medlake.steps.imaging import IMAGING, SERIES, STUDY, originals, staged, with_links, with_visit_of_study
from medlake.steps.news import News, judged_of, news_of, of_mapped
from medlake.steps.places import published
from medlake.steps.settled import Once, settled
from medlake.steps.sources import Mapped, all_sources, count_all
from medlake.steps.tallies import Built, write_tallies
from medlake.steps.unit_table import expected, units

EVENTS: dict[str, Event] = {
    e.table: e
    for e in (
        visit_occurrence.EVENT, condition_occurrence.EVENT, drug_exposure.EVENT, procedure_occurrence.EVENT,
        measurement.EVENT, observation.EVENT, note.EVENT, death.EVENT, device_exposure.EVENT, specimen.EVENT, *IMAGING,
    )
}  # fmt: skip
VISIT = visit_occurrence.EVENT.table
FIRST = (VISIT, "person", "procedure_occurrence", STUDY.table, SERIES.table)  # the rest wait for some of these


def run(ctx: Context) -> Counts:
    """Rebuild every silver table (or the one named) from the current records of all whom new records concern."""
    wanted = _wanted(ctx.only)
    sources = all_sources(ctx.conf)
    news = news_of(ctx, sources)
    start: list[Callable[[], Any]] = [partial(Mapped, ctx), partial(_vault, ctx, news), partial(_deny, ctx, news)]
    every, vault, deny = ctx.side_by_side(start)
    mapped, places = every, set(PLACES)
    if news is not None:
        mapped = Mapped(ctx, news.bronze, news.of_patients)
        places = {name for name in PLACES if news.concern(name, sources)}
        ctx.say(f"build: {count_all(news.persons):,} persons with news are judged again")
    own, visits = Once(partial(_own, ctx, news)), Once(partial(_visits, ctx, news))
    built = Built(vault, deny, own, visits, patterns(ctx), news, Gate(ctx))
    if "person" not in wanted:
        built.persons_stand.set()
    work: dict[str, Callable[[], None]] = {
        name: partial(_event, ctx, mapped, built, EVENTS[name])
        if name in EVENTS else partial(_persons_first, ctx, mapped, built)
        for name in (*FIRST, *EVENTS) if name in wanted
    }  # fmt: skip
    if wanted & {e.table for e in IMAGING}:
        work["uid_map"] = partial(_uid_map, ctx, mapped)
    work |= {name: partial(_place, ctx, every, built, PLACES[name]) for name in PLACES if name in wanted & places}
    after = {name: {VISIT} for name in EVENTS if name != VISIT}
    after |= {STUDY.table: {VISIT, "procedure_occurrence"}, SERIES.table: {STUDY.table}}
    ctx.as_ready(work, after)
    end: list[Callable[[], Any]] = [partial(write_tallies, ctx, built), partial(_quarantine, ctx, mapped, built)]
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


def _vault(ctx: Context, news: News | None) -> Vault:
    keys, identity = ctx.lake.read("vault.id_vault"), ctx.lake.read("vault.identity")
    mine = news.keys_of(keys) if news else keys
    every = vault_keys(mine, identity, ctx.lake.read("vault.date_offset")).localCheckpoint()
    return Vault(every, ctx.night.as_of.isoformat())


def _deny(ctx: Context, news: News | None) -> DataFrame:
    return deny_lists(*_identities(ctx, news)).localCheckpoint()


def _own(ctx: Context, news: News | None) -> DataFrame:
    return settled(own_words(*_identities(ctx, news)))


def _identities(ctx: Context, news: News | None) -> tuple[DataFrame, DataFrame]:
    """vault.identity, and the keys of those whom this build judges."""
    keys = ctx.lake.read("vault.id_vault")
    return ctx.lake.read("vault.identity"), judged_of(news, keys)


def _visits(ctx: Context, news: News | None) -> DataFrame:
    visits = judged_of(news, ctx.lake.read(f"silver.{VISIT}"))
    return settled(visits.select("visit_occurrence_id"))


def _persons_first(ctx: Context, mapped: Mapped, built: Built) -> None:
    """silver.person; tables that refer to it wait with their publication until it is done, or has failed."""
    try:
        _person(ctx, mapped, built)
    finally:
        built.persons_stand.set()


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
    ctx.lake.merge("silver.person", safe, within=built.persons, audit=built.gate.of("person"))
    _judged(ctx, built, judged, "person", person.RULES)


def _event(ctx: Context, mapped: Mapped, built: Built, event: Event) -> None:
    """One table of events."""
    rows = staged(ctx, mapped, event) if event in IMAGING else mapped.rows(event)
    name, to = f"silver.{event.table}", promise(f"silver.{event.table}")
    if rows is None:
        return
    whole = measurement.event(units(ctx), expected(ctx)) if event.table == "measurement" else event
    judged = settled(judge(settled(rows), whole, to, built.vault))
    fit = fit_rows(judged)
    if event is STUDY:
        fit = with_links(ctx, mapped, built.vault, fit, built.of_persons)
    if to.of_class("free_text"):  # the lists are long: they join only rows whose text they are for
        fit = fit.join(built.deny, on="person_id", how="left")
    if event.table == "note" and ctx.settings.privacy.notes != "patterns":
        fit = _rewritten(ctx, built, fit)
        told = {"note_text": F.col("note_rewritten.text"), "n_replaced": F.col("note_rewritten.n_replaced")}
        safe = deidentified(fit, to, key=ctx.key, patterns=built.patterns, safe=told)
    else:
        told = {}
        if event in IMAGING and ctx.settings.privacy.notes != "patterns":
            fit, told = _described(ctx, built, fit, to)
        safe = deidentified(fit, to, key=ctx.key, patterns=built.patterns, safe=told)
        if event.table == "note":
            safe = safe.withColumn("n_replaced", replaced(F.col("note_text")))
    if event is SERIES:
        safe = with_visit_of_study(safe, ctx.lake.read("silver.imaging_study"))
    elif "visit_occurrence_id" in to.columns and event.table != "visit_occurrence" and event is not STUDY:
        safe = with_known_visit(safe, built.visits())
    built.persons_stand.wait()
    ctx.lake.merge(name, safe.select(*to.columns), within=built.persons, audit=built.gate.of(event.table))
    _judged(ctx, built, judged, event.table, (*common_rules(event), *event.rules))


def _rewritten(ctx: Context, built: Built, notes: DataFrame) -> DataFrame:
    """Fit notes with `note_rewritten`: their text without identifiers, and how many there were."""
    made = rewritten(F.col("note_text"), surrogates=ctx.settings.privacy.notes == "surrogates")
    return notes.join(built.own(), on="person_id", how="left").withColumn("note_rewritten", made).localCheckpoint()


def _described(ctx: Context, built: Built, fit: DataFrame, to: Promise) -> tuple[DataFrame, dict[str, Column]]:
    """Rows of images with what the vault knows of their persons, and their texts without names of anybody."""
    allowed = frozenset(ctx.conf.toml("dicom.toml").get("clean", {}).get("words", "").lower().split())
    texts = [name for name in to.of_class("free_text") if name in fit.columns]
    rows = fit.join(built.own(), on="person_id", how="left")
    return rows, {name: described(F.col(name), allowed) for name in texts}


def _place(ctx: Context, every: Mapped, built: Built, place: Place) -> None:
    """One of the tables that belong to no person: all of its rows where any may be new, for they are few."""
    judged = published(ctx, every, place, built.gate.of(place.event.table))
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
