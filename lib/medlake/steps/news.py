"""What is new since the last build, whom it concerns, and every record from which their rows are made.

A night costs what is new: only patients whom new records, new keys or new links concern are judged again, with all
their records. Everybody is judged where the last build cannot be built upon: another code or conf, another year, a
table that is not as that build left it, or a build that was asked for by name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import reduce

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from medlake.clean.place import PLACES
from medlake.clean.quarantine import OPEN
from medlake.doors.session import generated_code
from medlake.sources.declared import Source
from medlake.sources.mapping import joined_views, views_of
from medlake.sources.owners import PATIENT, names_of, needed, numbered, only_of, owned, place_of, places_of, touched
from medlake.steps.context import Context
from medlake.steps.settled import few
from medlake.steps.sources import HOLDERS, patients_of

REGISTRY = ("vault.id_vault", "vault.identity", "vault.date_offset")
LATER_FIT = "date_in_future"  # the one rule that time alone can settle
LARGE = 32_000_000  # bytes of bronze from which on compiling the queries takes less time than it saves
MANY = 1_000  # batches, by table, that conditions may name


@dataclass(frozen=True)
class News:
    """The part of the lake that a build has to look at. `whole`: sources of which every record counts."""

    patients: DataFrame  # patient, a number (see `owners.numbered`)
    persons: DataFrame  # person_id, those that the patients were before among them
    bronze: dict[str, DataFrame]  # bronze table → the records that the patients' rows are made of
    whole: tuple[str, ...]
    brought: frozenset[tuple[str, str]]  # (source, source_table) of which a record came or went

    def of_patients(self, rows: DataFrame) -> DataFrame:
        """Those of the rows (PATIENT, source) that this build makes anew."""
        return only_of(rows, self.patients, self.whole)

    def keys_of(self, rows: DataFrame) -> DataFrame:
        """Those of the rows (source, person_source_value) that are of a patient of this build."""
        told = rows.withColumn("patient", numbered("source", PATIENT[1]))
        return told.join(self.patients, on="patient", how="left_semi").drop("patient")

    def of_persons(self, rows: DataFrame) -> DataFrame:
        """Those of a table's rows that are of a person of this build."""
        return rows.join(self.persons, on="person_id", how="left_semi")

    def concern(self, table: str, sources: dict[str, Source]) -> bool:
        """Whether a silver table may have rows that are made of what came or went, whomever they are about."""
        came = [(sources[name], source_table) for name, source_table in self.brought if name in sources]
        return any(table in source.mappings and reads_from(source, table, told) for source, told in came)


def judged_of(news: News | None, rows: DataFrame) -> DataFrame:
    """Those of a table's rows that are of a person of this build: all of them where there is no `news`."""
    return news.of_persons(rows) if news else rows


def reads_from(source: Source, table: str, source_table: str) -> bool:
    """Whether the source's mapping of a silver table reads records of this table or resource type of the source."""
    if source.format not in ("csv", "jdbc", "fhir"):
        return True
    views = {view.casefold() for view in views_of(source.mappings[table])}
    known = {t.name.casefold() for t in source.tables}
    unknown = source.format != "fhir" and source_table.casefold() not in known
    return not views or unknown or source_table.casefold() in views


def news_of(ctx: Context, sources: dict[str, Source]) -> News | None:
    """What the last whole build has not seen; None: everything is to be built.

    The lake is read once for what the records are called and whose they are, and once more where those stand that are
    needed; in between only names, patients and places move, and where they are few no others move at all.
    """
    if any(name not in ctx.since for name in REGISTRY):
        return None
    size = ctx.lake.size_bytes(*[f"bronze.{name}" for name in HOLDERS])
    with generated_code(ctx.spark, pays=size >= LARGE):
        return _news_of(ctx, sources)


def _news_of(ctx: Context, sources: dict[str, Source]) -> News:
    held = {name: ctx.lake.read(f"bronze.{name}") for name in HOLDERS}
    every = _places(held, sources).localCheckpoint()
    came = {
        name: ctx.lake.changes(f"bronze.{name}", ctx.since.get(f"bronze.{name}"))
        for name in HOLDERS if ctx.lake.version(f"bronze.{name}") != ctx.since.get(f"bronze.{name}")
    }  # fmt: skip
    fresh = _places(came, sources).localCheckpoint() if came else every.limit(0)
    brought = _brought(fresh)
    whole = _whole(brought, sources)
    keys = ctx.lake.read("vault.id_vault")
    found = touched(every, fresh, few(names_of(fresh)))
    patients, persons = _closed(ctx, keys, [found, _of_whole(keys, whole, sources), *_of_registry(ctx, sources)])
    named = few(names_of(every.join(patients, on="patient", how="left_semi")))
    read = {s.name: _read_for_patients(s) for s in sources.values() if s.format == "fhir"}
    places = few(needed(every, patients, named, whole, read))
    tables = frozenset((source, table) for _, source, table in brought)
    return News(patients, persons, _found(held, places), tuple(whole), tables)


def _places(held: Mapping[str, DataFrame], sources: dict[str, Source]) -> DataFrame:
    return reduce(DataFrame.unionByName, [places_of(owned(rows, n, sources), n) for n, rows in held.items()])


def _found(held: Mapping[str, DataFrame], places: DataFrame) -> dict[str, DataFrame]:
    """The records of the bronze tables at these places.

    What is read of a table are its batches and, in them, the tables or resource types of the sources that hold a place:
    records of one file lie together, so that most pages of the others are left out.
    """
    told = places.groupBy("held_in", "batch").agg(F.collect_set("source_table").alias("tables"))
    lying = told.limit(MANY + 1).collect()  # a row per night and format
    found = {}
    for name, rows in held.items():
        mine = [r for r in lying if r["held_in"] == name]
        parts = [(F.col("batch") == r["batch"]) & F.col("source_table").isin(r["tables"]) for r in mine]
        if len(lying) > MANY:
            parts = [F.lit(True)]
        if not parts:
            found[name] = rows.where(F.lit(False))
            continue
        some = rows.where(reduce(Column.__or__, parts)).withColumn("place", place_of())
        there = some.join(places.where(F.col("held_in") == name), on="place", how="left_semi")
        found[name] = there.select(*rows.columns).localCheckpoint()
    return found


def _brought(fresh: DataFrame) -> dict[tuple[str, str, str], bool]:
    """(bronze table, source, source_table) of what came or went → whether some of it belongs to no patient."""
    told = fresh.groupBy("held_in", "source", "source_table").agg(F.bool_or("is_shared").alias("is_shared"))
    seen = told.limit(100_000).collect()  # bounded by the tables of the sources
    return {(r["held_in"], r["source"], r["source_table"]): r["is_shared"] for r in seen}


def _read_for_patients(source: Source) -> list[str]:
    """The resource types (in small letters) that its mappings read, but for tables that belong to no person."""
    read = [views_of(sql) for table, sql in source.mappings.items() if table not in PLACES]
    return sorted({view.casefold() for views in read for view in views})


def _whole(brought: dict[tuple[str, str, str], bool], sources: dict[str, Source]) -> list[str]:
    """The sources with news that may concern any of their patients: a table or resource that others are joined to."""
    every = {s.name: map(joined_views, s.mappings.values()) for s in sources.values()}
    joined = {name: {view.casefold() for views in read for view in views} for name, read in every.items()}
    shared = {
        source for (held_in, source, table), is_shared in brought.items() if source in sources and is_shared
        and (sources[source].format != "fhir" or table.casefold() in joined[source])
    }  # fmt: skip
    return sorted(shared | {source for held_in, source, _ in brought if held_in == "hl7_message"})


def _of_whole(keys: DataFrame, whole: list[str], sources: dict[str, Source]) -> DataFrame:
    owners = [sources[name].patient_source for name in whole]
    return keys.where(F.col("source").isin(owners)).select(numbered("source", PATIENT[1]).alias("patient"))


def _of_registry(ctx: Context, sources: dict[str, Source]) -> list[DataFrame]:
    """Patients whose key, person, names or time are not what they were, and those who had to wait for a day to come."""
    told = [ctx.lake.changes(name, ctx.since[name]) for name in REGISTRY[:2]]
    waiting = ctx.lake.read("quarantine.record").where(
        (F.col("status") == OPEN) & F.col("target").startswith("silver.") & F.array_contains("reason_codes", LATER_FIT)
    )
    return [rows.select(numbered("source", PATIENT[1]).alias("patient")) for rows in told] + [
        of_mapped(waiting, sources).select(numbered(*PATIENT).alias("patient"))
    ]


def of_mapped(entries: DataFrame, sources: dict[str, Source]) -> DataFrame:
    """Entries of the quarantine with the patient (PATIENT) that their mapped row names."""
    pairs = [F.lit(x) for pair in sorted(patients_of(sources).items()) for x in pair]
    owner = F.coalesce(F.element_at(F.create_map(*pairs), F.col("source")), "source")
    key = F.coalesce(F.get_json_object("mapped_row", f"$.{PATIENT[1]}"), F.lit(""))
    return entries.withColumns(dict(zip(PATIENT, (owner, key), strict=True)))


def _closed(ctx: Context, keys: DataFrame, found: list[DataFrame]) -> tuple[DataFrame, DataFrame]:
    """(the patients with all keys of the persons they are or were, those persons)."""
    first = few(reduce(DataFrame.unionByName, found).distinct())
    named = keys.select("person_id", numbered("source", PATIENT[1]).alias("patient"))
    ids = [
        named.join(first, on="patient", how="left_semi").select("person_id"),
        *[ctx.lake.changes(name, ctx.since[name]).select("person_id") for name in (REGISTRY[0], REGISTRY[2])],
    ]
    persons = few(reduce(DataFrame.unionByName, ids).distinct())
    theirs = named.join(persons, on="person_id", how="left_semi").select("patient")
    return few(first.unionByName(theirs).distinct()), persons
