"""What a build has judged, and what that came to: ops.table_build, ops.dq_result, vault.patient_tally."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce
from typing import Any

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from medlake.clean.judge import PARTIAL, Vault
from medlake.doors.lake import Within
from medlake.doors.ledger import TALLY, Counts
from medlake.grammar.contract import promise
from medlake.privacy.scrub_text import Pattern
from medlake.steps.context import Context
from medlake.steps.gate import Gate
from medlake.steps.news import News, judged_of
from medlake.steps.places import sums_of
from medlake.steps.settled import Once

UNREADABLE = "What was given does not read as its type, or is missing."
IMPRECISE = "The date is known to the year or month alone: its first day stands for it."


@dataclass
class Built:
    """What one build has judged so far. `news`: the part of the lake that it judges; None: all of it."""

    vault: Vault
    deny: DataFrame  # per person: what names him or her in free text
    own: Once  # per person: all his or her names and numbers
    visits: Once  # the ids of silver's visits, once these are what they will be
    patterns: tuple[Pattern, ...]
    news: News | None
    gate: Gate
    persons_stand: threading.Event = field(default_factory=threading.Event)  # silver.person is what it will be
    aside: list[DataFrame] = field(default_factory=list)
    tables: list[str] = field(default_factory=list)
    tallies: list[DataFrame] = field(default_factory=list)  # rows of vault.patient_tally
    places: dict[str, DataFrame] = field(default_factory=dict)  # table → judged rows that belong to no person
    rules: dict[str, dict[str, tuple[bool, str]]] = field(default_factory=dict)  # table → rule → blocks, because

    @property
    def persons(self) -> Within | None:
        """Chooses the rows of a silver table that are made anew; None: all of them."""
        return self.news.of_persons if self.news else None

    def of_persons(self, rows: DataFrame) -> DataFrame:
        """Those of a table's rows that are of a person whom this build judges."""
        return judged_of(self.news, rows)


def write_tallies(ctx: Context, built: Built) -> Counts:
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
