"""The first scan: everything that a row alone says, with its person's birth and death and its visit's dates beside it.

Each row becomes the set of figures that it counts for. Rows with the same set are counted together before the sets
are taken apart: however many checks there are, what is shuffled is one row per set.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from medlake.gate.resolve import Check

GRACE_DAYS = 60  # OHDSI: what is entered within two months after death is administration
VISIT_DAYS = 7  # and within a week of a visit belongs to it
N_SAMPLES = 5
TIMES = ("date", "timestamp", "timestamp_ntz")
WHOLE = ("tinyint", "smallint", "int", "bigint")
KEYS = [f"key_{i}" for i in range(N_SAMPLES)]


@dataclass(frozen=True)
class Figure:
    """Rows of a table for which `when` (SQL) holds."""

    number: int
    when: str


@dataclass
class Figures:
    """The figures of one table; the same condition is counted once. Numbers start after `first`."""

    first: int
    by_sql: dict[str, int]

    def number(self, when: str) -> int:
        """The number of a condition."""
        return self.by_sql.setdefault(when, self.first + len(self.by_sql))


@dataclass(frozen=True)
class Plan:
    """Which figures a check is judged by: rows that are wrong, of which rows. None: counted in the second scan."""

    check: Check
    wrong: int | None
    of: int | None


def planned(checks: Sequence[Check], types: Mapping[str, str], figures: Figures, *, as_of: date) -> list[Plan]:
    """The checks of one table that a row alone can break, and the figures that they need."""
    plans = []
    for check in checks:
        told = None if check.why_not else conditions_of(check, types, as_of)
        if told is not None:
            wrong, of = told
            plans.append(Plan(check, figures.number(f"({of}) AND ({wrong})"), figures.number(of)))
    return plans


def conditions_of(check: Check, types: Mapping[str, str], as_of: date) -> tuple[str, str] | None:
    """(SQL that is true where the row is wrong, SQL that is true where it counts)."""
    a, f = check.asked, f"`{check.asked.field}`"
    given = f"{f} IS NOT NULL"
    day = f"to_date({f})"
    match check.name:
        case "isRequired" | "measureValueCompleteness":
            return f"{f} IS NULL", "true"
        case "cdmDatatype":
            return _not_whole(f, types[a.field]), "true"
        case "standardConceptRecordCompleteness" | "sourceConceptRecordCompleteness":
            of_value = a.field == "unit_concept_id" and "value_as_number" in types
            return f"{f} = 0", "value_as_number IS NOT NULL" if of_value else "true"
        case "plausibleValueLow":
            return _beyond(f, "<", a.argument, types[a.field], as_of), given
        case "plausibleValueHigh":
            return _beyond(f, ">", a.argument, types[a.field], as_of), given
        case "plausibleAfterBirth":
            return f"{day} < _born", f"{given} AND _born IS NOT NULL"
        case "plausibleTemporalAfter":
            other, _, column = a.argument.partition(".")
            if other == "person":
                return f"{day} < _born", f"{given} AND _born IS NOT NULL"
            return f"{f} < `{column}`", f"{given} AND `{column}` IS NOT NULL"
        case "plausibleDuringLife" | "plausibleBeforeDeath":
            return f"{day} > date_add(_died, {GRACE_DAYS})", f"{given} AND _died IS NOT NULL"
        case "withinVisitDates":
            outside = f"{day} < date_sub(_began, {VISIT_DAYS}) OR {day} > date_add(_ended, {VISIT_DAYS})"
            return outside, f"{given} AND _began IS NOT NULL"
        case "plausibleStartBeforeEnd":
            return f"{f} > `{a.argument}`", f"{given} AND `{a.argument}` IS NOT NULL"
    return None


def _not_whole(f: str, kind: str) -> str:
    if kind in WHOLE:
        return "false"
    return f"{f} IS NOT NULL AND NOT coalesce(trim(CAST({f} AS STRING)) RLIKE '^[+-]?[0-9]+(\\\\.0+)?$', false)"


def _beyond(f: str, sign: str, limit: str, kind: str, as_of: date) -> str:
    if limit == "tomorrow":
        limit = (as_of + timedelta(days=1)).isoformat()
    if limit == "next_year":
        limit = str(as_of.year + 1)
    if kind in TIMES:
        return f"to_date({f}) {sign} DATE'{limit}'"
    return f"try_cast({f} AS DOUBLE) {sign} {limit}D"


def with_neighbours(
    rows: DataFrame, *, persons: DataFrame | None, deaths: DataFrame | None, visits: DataFrame | None
) -> DataFrame:
    """The rows with `_sex`, `_born`, `_died`, `_began`, `_ended`; see `persons_of`, `deaths_of`, `visits_of`."""
    told = rows
    own = rows.columns
    for beside, key in ((persons, "person_id"), (deaths, "person_id"), (visits, "visit_occurrence_id")):
        if beside is not None and key in own:
            told = told.join(beside.withColumnRenamed(key, f"_{key}"), F.col(key) == F.col(f"_{key}"), "left").drop(
                f"_{key}"
            )
    lacking = {n: F.lit(None).cast("date") for n in ("_born", "_died", "_began", "_ended") if n not in told.columns}
    if "_sex" not in told.columns:
        lacking["_sex"] = F.lit(None).cast("int")
    return told.withColumns(lacking)


def persons_of(person: DataFrame, *, oldest_year: int | None) -> DataFrame:
    """(person_id, _sex, _born), one row each. A year alone is its first day.

    `oldest_year`: years of birth up to it stand for any year before, so they are no birth.
    """
    have = person.columns
    born: list[Column] = [F.to_date("birth_datetime")] if "birth_datetime" in have else []
    if "year_of_birth" in have:
        month, day = (
            F.coalesce(F.col(c), F.lit(1)) if c in have else F.lit(1) for c in ("month_of_birth", "day_of_birth")
        )
        told = F.expr("year_of_birth > " + str(oldest_year)) if oldest_year is not None else F.lit(True)
        born.append(F.when(told, F.try_make_timestamp(
            "year_of_birth", month, day, F.lit(0), F.lit(0), F.lit(0)
        ).cast("date")))  # fmt: skip
    born.append(F.lit(None).cast("date"))
    sex = F.col("gender_concept_id") if "gender_concept_id" in have else F.lit(None).cast("int")
    return person.groupBy("person_id").agg(F.min(sex).alias("_sex"), F.min(F.coalesce(*born)).alias("_born"))


def deaths_of(death: DataFrame) -> DataFrame:
    """(person_id, _died), one row each."""
    return death.groupBy("person_id").agg(F.min(F.to_date("death_date")).alias("_died"))


def visits_of(visit: DataFrame) -> DataFrame:
    """(visit_occurrence_id, _began, _ended), one row each; a visit without an end ended on its first day."""
    began, ended = F.to_date("visit_start_date"), F.to_date("visit_end_date")
    return visit.groupBy("visit_occurrence_id").agg(
        F.min(began).alias("_began"), F.max(F.coalesce(ended, began)).alias("_ended")
    )


def marked(rows: DataFrame, figures: Mapping[str, int], key: str | None) -> DataFrame:
    """(codes, key): for each row the numbers of the figures it counts for."""
    # one text for all: a hundred calls to the JVM for each table would take longer than reading it
    codes = ", ".join(f"CASE WHEN {sql} THEN {number} END" for sql, number in figures.items())
    return rows.select(F.expr(f"array_compact(array({codes}))").alias("codes"), named(key))


def named(key: str | None) -> Column:
    """The row's key as a number, as OMOP's are: texts could not be compared within a hash aggregate."""
    return (F.col(key).try_cast("bigint") if key else F.lit(None).cast("bigint")).alias("key")


def counted(sets: DataFrame) -> DataFrame:
    """(code, n, keys) from the sets of all tables: how many rows, and some of their keys."""
    together = with_samples(sets).groupBy("codes").agg(F.count(F.lit(1)).alias("n"), *least())
    return taken_apart(together.select(F.explode("codes").alias("code"), "n", *KEYS))


def with_samples(rows: DataFrame) -> DataFrame:
    """`key` in one of a few columns, by its hash: the least of each is a sample that no order can change."""
    at = F.pmod(F.xxhash64("key"), F.lit(N_SAMPLES))
    return rows.withColumns({name: F.when(at == i, F.col("key")) for i, name in enumerate(KEYS)}).drop("key")


def least() -> list[Column]:
    """The samples of a group."""
    return [F.min(name).alias(name) for name in KEYS]


def taken_apart(figures: DataFrame) -> DataFrame:
    """(code, n, keys) from partial sums per code."""
    return (
        figures.groupBy("code")
        .agg(F.sum("n").alias("n"), *least())
        .select("code", "n", F.array_sort(F.array_compact(F.array(*KEYS))).cast("array<string>").alias("keys"))
    )
