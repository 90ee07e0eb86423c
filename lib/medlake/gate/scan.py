"""All checks of some tables as one DataFrame of figures: each table is read twice, however many checks there are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import reduce
from itertools import count

from pyspark.sql import DataFrame

from medlake.gate.groups import (
    ConceptRule,
    Lookups,
    Place,
    eras_missing,
    items,
    lookups,
    periods_overlapping,
    targets,
)  # fmt: skip
from medlake.gate.resolve import Check
from medlake.gate.rows import (
    Figures,
    Plan,
    counted,
    deaths_of,
    marked,
    persons_of,
    planned,
    visits_of,
    with_neighbours,
)  # fmt: skip
from medlake.gate.verdict import Measured

Tables = Mapping[str, DataFrame]
ROW, GROUP = 1, 1_000_000  # where the numbers of the two scans' figures begin


@dataclass
class TablePlan:
    """What is to be counted of one table."""

    key: str | None
    plans: list[Plan]
    figures: Figures
    lookups: Lookups
    n_rows: int  # the figure that counts all rows


@dataclass
class ScanPlan:
    """What is to be counted of all tables, and by which figures each check is judged."""

    checks: list[Check]
    tables: dict[str, TablePlan] = field(default_factory=dict)
    special: dict[str, tuple[int, int]] = field(default_factory=dict)  # check → its figures

    @property
    def places(self) -> list[Place]:
        """All columns whose values are looked up."""
        return [p for t in self.tables.values() for p in t.lookups.places]

    @property
    def rules(self) -> list[ConceptRule]:
        """The rules of single concepts."""
        return [r for t in self.tables.values() for r in t.lookups.rules]

    @property
    def descendants(self) -> list[ConceptRule]:
        """The rules of concepts with all that they include."""
        return [r for t in self.tables.values() for r in t.lookups.descendants]

    def needed(self) -> set[tuple[str, str]]:
        """(table, column) of all keys that something refers to."""
        return {(p.to.partition(".")[0], p.to.partition(".")[2]) for p in self.places if p.to}


SPECIAL = ("measureConditionEraCompleteness", "measureObservationPeriodOverlap")


def scan_plan(
    checks: Sequence[Check], held: Mapping[str, Mapping[str, str]], keys: Mapping[str, str], *, as_of: date
) -> ScanPlan:
    """Which figures the checks of each table need. `keys`: table → the column that names its rows."""
    said = ScanPlan(list(checks))
    first, figure, place = ROW, count(GROUP), count(1)
    for table in held:
        own = [c for c in checks if c.asked.table == table]
        figures = Figures(first, {})
        n_rows = figures.number("true")
        plans = planned(own, held[table], figures, as_of=as_of)
        named = keys.get(table) or next(iter(held[table]), None)
        said.tables[table] = TablePlan(named, plans, figures, lookups(own, figure, place), n_rows)
        first += len(figures.by_sql)
    for check in checks:
        if check.name in SPECIAL and not check.why_not:
            said.special[check.name] = (next(figure), next(figure))
    return said


def row_figures(said: ScanPlan, tables: Tables, beside: Tables, *, oldest_year: int | None) -> DataFrame:
    """(code, n, keys) of the first scan. `beside`: the tables that checks look into, maybe more than those checked."""
    told = _neighbours(beside, oldest_year)
    sets = [
        marked(with_neighbours(tables[name], **_asked_for(plan.figures.by_sql, told)), plan.figures.by_sql, plan.key)
        for name, plan in said.tables.items()
        if name in tables
    ]
    if SPECIAL[0] in said.special:
        sets.append(eras_missing(beside["condition_occurrence"], beside["condition_era"], *said.special[SPECIAL[0]]))
    if SPECIAL[1] in said.special:
        sets.append(periods_overlapping(beside["observation_period"], *said.special[SPECIAL[1]]))
    return counted(reduce(DataFrame.unionByName, sets))


def group_items(said: ScanPlan, tables: Tables, beside: Tables) -> DataFrame | None:
    """The values that the second scan looks up; None: there are none."""
    sexes = {"persons": _neighbours(beside, None)["persons"], "deaths": None, "visits": None}
    parts = []
    for name, plan in said.tables.items():
        if name in tables and plan.lookups.places:
            rows = with_neighbours(tables[name], **sexes) if _asks_sex(plan) else tables[name]
            parts.append(items(rows, plan.lookups.places, plan.key))
    return reduce(DataFrame.unionByName, parts) if parts else None


def _asked_for(sqls: Iterable[str], told: dict[str, DataFrame | None]) -> dict[str, DataFrame | None]:
    """Of what may be joined that which some condition names."""
    every = " ".join(sqls)
    named = {"persons": "_born", "deaths": "_died", "visits": "_began"}
    return {name: frame if named[name] in every else None for name, frame in told.items()}


def _asks_sex(plan: TablePlan) -> bool:
    return any("_sex" in p.beside for p in plan.lookups.places)


def all_targets(said: ScanPlan, beside: Tables) -> DataFrame | None:
    """The keys of all tables that something refers to; None: nothing does."""
    parts = [targets(table, column, beside[table]) for table, column in sorted(said.needed())]
    return reduce(DataFrame.unionByName, parts) if parts else None


def _neighbours(beside: Tables, oldest_year: int | None) -> dict[str, DataFrame | None]:
    visits = beside.get("visit_occurrence")
    return {
        "persons": persons_of(beside["person"], oldest_year=oldest_year) if "person" in beside else None,
        "deaths": deaths_of(beside["death"]) if "death" in beside else None,
        "visits": visits_of(visits) if visits is not None else None,
    }


def measured(said: ScanPlan, figures: Iterable[tuple[int, int, Sequence[str]]]) -> dict[int, Measured]:
    """Number of each check → what was measured; `figures`: (code, n, keys), one row per figure."""
    known = {code: (n, tuple(keys)) for code, n, keys in figures}
    found = {}
    persons = known.get(said.tables["person"].n_rows, (0, ()))[0] if "person" in said.tables else 0
    for plan in said.tables.values():
        n_rows = known.get(plan.n_rows, (0, ()))[0]
        for p in plan.plans:
            found[p.check.number] = _measured(known, p.wrong, known.get(p.of or 0, (0, ()))[0])
        for number, wrong in plan.lookups.wrong.items():
            of = plan.lookups.of.get(number)
            found[number] = _measured(known, wrong, n_rows if of is None else known.get(of, (0, ()))[0])
    for check in said.checks:
        if check.name == "measurePersonCompleteness" and check.number in found:
            found[check.number] = Measured(max(persons - found[check.number].n_wrong, 0), persons)
        if check.name in said.special:
            wrong, of = said.special[check.name]
            found[check.number] = _measured(known, wrong, known.get(of, (0, ()))[0])
    return found


def _measured(known: Mapping[int, tuple[int, tuple[str, ...]]], wrong: int | None, of: int) -> Measured:
    n, keys = known.get(wrong or 0, (0, ()))
    return Measured(n, of, keys)
