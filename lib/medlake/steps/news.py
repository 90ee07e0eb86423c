"""What is new since the last build, whom it concerns, and every record from which their rows are made.

A night costs what is new: only patients whom new records, new keys or new links concern are judged again, with all
their records. Everybody is judged where the last build cannot be built upon: another code or conf, another year, a
table that is not as that build left it, or a build that was asked for by name.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from medlake.clean.quarantine import OPEN
from medlake.sources.declared import Source
from medlake.sources.mapping import joined_views
from medlake.sources.owners import PATIENT, needed, only_of, owned, touched
from medlake.steps.context import Context
from medlake.steps.sources import HOLDERS, patients_of

REGISTRY = ("vault.id_vault", "vault.identity", "vault.date_offset")
LATER_FIT = "date_in_future"  # the one rule that time alone can settle


@dataclass(frozen=True)
class News:
    """The part of the lake that a build has to look at. `whole`: sources of which every record counts."""

    patients: DataFrame  # PATIENT
    persons: DataFrame  # person_id, those that the patients were before among them
    bronze: dict[str, DataFrame]  # bronze table → the records that the patients' rows are made of
    whole: tuple[str, ...]

    def of_patients(self, rows: DataFrame) -> DataFrame:
        """Those of the rows (PATIENT, source) that this build makes anew."""
        return only_of(rows, self.patients, self.whole)

    def of_persons(self, rows: DataFrame) -> DataFrame:
        """Those of a silver table's rows that this build makes anew."""
        return rows.join(self.persons, on="person_id", how="left_semi")


def news_of(ctx: Context, sources: dict[str, Source]) -> News | None:
    """What the last whole build has not seen; None: everything is to be built."""
    if any(name not in ctx.since for name in REGISTRY):
        return None
    every = {name: owned(ctx.lake.read(f"bronze.{name}"), name, sources) for name in HOLDERS}
    fresh = {
        name: owned(ctx.lake.changes(f"bronze.{name}", ctx.since.get(f"bronze.{name}")), name, sources)
        for name in every
        if ctx.lake.version(f"bronze.{name}") != ctx.since.get(f"bronze.{name}")
    }
    whole = _whole(fresh, sources)
    keys = ctx.lake.read("vault.id_vault")
    found = [touched(every[name], rows) for name, rows in fresh.items()]
    patients, persons = _closed(ctx, keys, [*found, _of_whole(keys, whole, sources), *_of_registry(ctx, sources)])
    bronze = {name: needed(rows, patients, whole).localCheckpoint() for name, rows in every.items()}
    return News(patients, persons, bronze, tuple(whole))


def _whole(fresh: dict[str, DataFrame], sources: dict[str, Source]) -> list[str]:
    """The sources with news that may concern any of their patients: a table or resource that others are joined to."""
    named = [rows.where("is_shared").select("source", "source_table").distinct() for rows in fresh.values()]
    if not named:
        return []
    seen = reduce(DataFrame.unionByName, named).limit(100_000).collect()  # bounded by the tables of the sources
    joined = {s.name: set().union(*map(joined_views, s.mappings.values())) for s in sources.values()}
    shared = {r["source"] for r in seen if r["source"] in sources and (
        sources[r["source"]].format != "fhir" or r["source_table"] in joined[r["source"]]
    )}  # fmt: skip
    if "hl7_message" in fresh:
        shared |= {r["source"] for r in fresh["hl7_message"].select("source").distinct().limit(10_000).collect()}
    return sorted(shared)


def _of_whole(keys: DataFrame, whole: list[str], sources: dict[str, Source]) -> DataFrame:
    owners = [sources[name].patient_source for name in whole]
    return keys.where(F.col("source").isin(owners)).select(F.col("source").alias(PATIENT[0]), PATIENT[1])


def _of_registry(ctx: Context, sources: dict[str, Source]) -> list[DataFrame]:
    """Patients whose key, person, names or time are not what they were, and those who had to wait for a day to come."""
    told = [ctx.lake.changes(name, ctx.since[name]) for name in REGISTRY[:2]]
    waiting = ctx.lake.read("quarantine.record").where(
        (F.col("status") == OPEN) & F.col("target").startswith("silver.") & F.array_contains("reason_codes", LATER_FIT)
    )
    return [rows.select(F.col("source").alias(PATIENT[0]), PATIENT[1]) for rows in told] + [
        of_mapped(waiting, sources).select(*PATIENT)
    ]


def of_mapped(entries: DataFrame, sources: dict[str, Source]) -> DataFrame:
    """Entries of the quarantine with the patient (PATIENT) that their mapped row names."""
    pairs = [F.lit(x) for pair in sorted(patients_of(sources).items()) for x in pair]
    owner = F.coalesce(F.element_at(F.create_map(*pairs), F.col("source")), "source")
    key = F.coalesce(F.get_json_object("mapped_row", f"$.{PATIENT[1]}"), F.lit(""))
    return entries.withColumns(dict(zip(PATIENT, (owner, key), strict=True)))


def _closed(ctx: Context, keys: DataFrame, found: list[DataFrame]) -> tuple[DataFrame, DataFrame]:
    """(the patients with all keys of the persons they are or were, those persons)."""
    first = reduce(DataFrame.unionByName, found).distinct().localCheckpoint()
    named = keys.withColumnRenamed("source", PATIENT[0])
    ids = [
        named.join(first, on=list(PATIENT), how="left_semi").select("person_id"),
        *[ctx.lake.changes(name, ctx.since[name]).select("person_id") for name in (REGISTRY[0], REGISTRY[2])],
    ]
    persons = reduce(DataFrame.unionByName, ids).distinct().localCheckpoint()
    theirs = named.join(persons, on="person_id", how="left_semi").select(*PATIENT)
    return first.unionByName(theirs).distinct().localCheckpoint(), persons
