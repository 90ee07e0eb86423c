"""What is asked of OMOP tables → checks that can be computed of the tables at hand, or why not."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from medlake.gate.definitions import Asked, Definitions

Held = Mapping[str, Mapping[str, str]]  # table → column → Spark's type

BORN_BY = ("birth_datetime", "year_of_birth")
OF_CONCEPTS = ("isStandardValidConcept", "fkDomain", "fkClass")
OTHER_TABLES = {  # what a check reads beside its own table
    "plausibleDuringLife": "death", "plausibleBeforeDeath": "death", "withinVisitDates": "visit_occurrence",
    "plausibleAfterBirth": "person", "plausibleGender": "person", "plausibleGenderUseDescendants": "person",
    "measurePersonCompleteness": "person", "measureConditionEraCompleteness": "condition_occurrence",
}  # fmt: skip
OTHER_COLUMNS = {  # and beside its own field
    "plausibleDuringLife": "person_id", "plausibleBeforeDeath": "person_id", "plausibleAfterBirth": "person_id",
    "withinVisitDates": "visit_occurrence_id", "plausibleGender": "person_id", "measurePersonCompleteness": "person_id",
    "plausibleGenderUseDescendants": "person_id", "plausibleUnitConceptIds": "unit_concept_id",
    "measureConditionEraCompleteness": "person_id", "measureObservationPeriodOverlap": "person_id",
}  # fmt: skip


@dataclass(frozen=True)
class Check:
    """One check of one table at hand. `number`: its place in the list. `why_not`: why it cannot be computed; ''."""

    number: int
    asked: Asked
    blocks: bool
    why_not: str = ""

    @property
    def name(self) -> str:
        """The check's type."""
        return self.asked.kind.name


def resolved(said: Definitions, held: Held, never_null: Mapping[str, Iterable[str]]) -> list[Check]:
    """Every check of the tables held (and the table checks of those that are not), numbered from 1.

    `never_null`: table → columns that its promise says are never null; only there isRequired may block.
    """
    found: list[Check] = []
    for table, asked in said.asked.items():
        firm = set(never_null.get(table, ()))
        for a in asked:
            if table not in held and a.field:
                continue
            why_not = _why_not(a, held)
            may = said.blocks(a.kind.name, a.field) and (a.kind.name != "isRequired" or a.field in firm)
            found.append(Check(len(found) + 1, a, may and not why_not, why_not))
    return found


def _why_not(a: Asked, held: Held) -> str:
    name, table = a.kind.name, a.table
    if name == "cdmTable":
        return ""
    if table not in held:
        return f"there is no table {table}"
    columns = held[table]
    if name == "cdmField":
        return ""
    if a.field and a.field not in columns:
        return f"{table} holds no {a.field}"
    beside = OTHER_COLUMNS.get(name)
    if beside and beside not in columns:
        return f"{table} holds no {beside}"
    for other in _tables_of(a):
        if other not in held:
            return f"there is no table {other}"
    return _lacking(a, held)


def _tables_of(a: Asked) -> list[str]:
    tables = [OTHER_TABLES[a.kind.name]] if a.kind.name in OTHER_TABLES else []
    if a.kind.name in OF_CONCEPTS:
        tables.append("concept")
    if a.kind.name.endswith("UseDescendants"):
        tables.append("concept_ancestor")
    if a.kind.name in ("isForeignKey", "plausibleTemporalAfter"):
        tables.append(a.argument.partition(".")[0])
    return tables


def _lacking(a: Asked, held: Held) -> str:
    """A column that the check compares with and that is not there."""
    columns, name = held[a.table], a.kind.name
    if name in ("sourceValueCompleteness", "plausibleStartBeforeEnd") and a.argument not in columns:
        return f"{a.table} holds no {a.argument}"
    if name == "plausibleAfterBirth" or (name == "plausibleTemporalAfter" and a.argument.startswith("person.")):
        if not set(BORN_BY) & set(held["person"]):
            return "person holds no date or year of birth"
        if "person_id" not in columns:
            return f"{a.table} holds no person_id"
    elif name in ("isForeignKey", "plausibleTemporalAfter"):
        other, _, column = a.argument.partition(".")
        if column not in held[other]:
            return f"{other} holds no {column}"
    return ""
