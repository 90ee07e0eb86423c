"""A small OMOP database without any defect, made from conf/quality alone, and defects planted into it.

Every table has one row per person, every field a value that all checks of it accept. A defect is one cell (or row) that
breaks one check; each has a row of its own.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import cycle
from typing import Any

from pyspark.sql import DataFrame, SparkSession

from medlake.gate.definitions import Asked, Definitions

N = 160
AS_OF = date(2026, 7, 15)
BORN, DAY, DIED = date(1980, 1, 1), date(2020, 3, 1), date(2020, 6, 1)
TABLES = (
    "person", "observation_period", "visit_occurrence", "condition_occurrence", "drug_exposure", "procedure_occurrence",
    "device_exposure", "measurement", "observation", "death", "specimen", "location", "care_site", "provider",
    "drug_era", "condition_era",
)  # fmt: skip
AS_TEXT = {("drug_exposure", "days_supply"), ("drug_exposure", "refills"), ("device_exposure", "quantity"), ("procedure_occurrence", "quantity")}
CHILD, WRONG, OBSOLETE = 700_001, 700_002, 700_003  # a concept below others, one of no domain, one that is not standard
STRANGER = 999_999_999
DEAD = N // 2  # persons with a number up to this have died

Row = dict[str, Any]


@dataclass(frozen=True)
class Defect:
    """What was planted: so many rows must be found by this check."""

    check: str
    table: str
    field: str
    concept: str = ""


class Database:
    """Rows by table, and which field has which type."""

    def __init__(self, said: Definitions) -> None:
        self.said = said
        self.concepts: dict[int, tuple[str, str]] = {CHILD: ("Condition", "Any"), WRONG: ("None", "None"), OBSOLETE: ("Any", "Any")}
        self.numbers: dict[tuple[str, str], int] = {}
        self.rows = {table: [self.row(table, i) for i in range(1, N + 1)] for table in TABLES}
        self.rows["death"] = self.rows["death"][:DEAD]
        self._sexes()
        self._units()

    def asked(self, table: str, field: str) -> dict[str, Asked]:
        return {a.kind.name: a for a in self.said.asked[table] if a.field == field and not a.concept}

    def fields(self, table: str) -> list[str]:
        return list(dict.fromkeys(a.field for a in self.said.asked[table] if a.field))

    def row(self, table: str, i: int) -> Row:
        return {field: self.value(table, field, self.asked(table, field), i) for field in self.fields(table)}

    def value(self, table: str, field: str, asked: dict[str, Asked], i: int) -> Any:
        """What all checks of the field accept."""
        if "date" in field and not field.endswith("id"):
            return BORN if table == "person" else DIED if table == "death" else DAY + timedelta(days=int("end" in field))
        if "isPrimaryKey" in asked or field == "person_id":
            return i
        if "isForeignKey" in asked:
            if asked["isForeignKey"].argument != "concept.concept_id":
                return i if asked["isForeignKey"].argument.partition(".")[0] in TABLES else None
            if field == "gender_concept_id" and table == "person":
                return 8507 if i % 2 else 8532
            return self.concept(asked["fkDomain"].argument if "fkDomain" in asked else "Any", asked["fkClass"].argument if "fkClass" in asked else "Any")
        if field == "year_of_birth":
            return BORN.year
        if "cdmDatatype" in asked:
            return "5" if (table, field) in AS_TEXT else 5
        return "text" if not (field.startswith(("value_as_n", "range_", "dose", "latitude", "longitude")) or field == "quantity") else 5.0

    def concept(self, domain: str, of_class: str) -> int:
        number = self.numbers.setdefault((domain, of_class), 800_001 + len(self.numbers))
        self.concepts[number] = (domain, of_class)
        return number

    def _sexes(self) -> None:
        """The first rows of conditions and procedures are of concepts of one sex, or of what those include."""
        for table, field in (("condition_occurrence", "condition_concept_id"), ("procedure_occurrence", "procedure_concept_id")):
            domain = "Condition" if table.startswith("cond") else "Procedure"
            self.of_sex = [(a, int(a.concept)) for a in self.said.asked[table] if a.kind.name == "plausibleGender"]
            of = {sex: cycle([c for a, c in self.of_sex if a.argument == sex]) for sex in ("Male", "Female")}
            for row in self.rows[table][:100]:
                row[field] = next(of["Male" if row["person_id"] % 2 else "Female"])
                self.concepts[row[field]] = (domain, "Any")
        for row in self.rows["condition_occurrence"][100:130]:
            row["condition_concept_id"] = CHILD
            row["person_id"] = 1 + 2 * (row["person_id"] // 2) if row["person_id"] % 2 == 0 else row["person_id"]

    def _units(self) -> None:
        rules = [a for a in self.said.asked["measurement"] if a.kind.name == "plausibleUnitConceptIds" and a.argument != "-1"]
        for row, a in zip(self.rows["measurement"][:100], rules, strict=False):
            row["measurement_concept_id"], row["unit_concept_id"] = int(a.concept), int(a.argument.split(",")[0])
            self.concepts[row["measurement_concept_id"]] = ("Measurement", "Any")
            self.concepts[row["unit_concept_id"]] = ("Unit", "Any")

    def frames(self, spark: SparkSession) -> dict[str, DataFrame]:
        """The tables, `concept` and `concept_ancestor` among them."""
        made = {table: spark.createDataFrame([tuple(r.values()) for r in rows], self.schema(table)) for table, rows in self.rows.items()}
        known = [(i, *said, None if i == OBSOLETE else "S", None) for i, said in {0: ("Any", "Any"), **self.concepts, 8507: ("Gender", "Any"), 8532: ("Gender", "Any")}.items()]
        made["concept"] = spark.createDataFrame(known, "concept_id bigint, domain_id string, concept_class_id string, standard_concept string, invalid_reason string")
        male = next(a for a in self.said.asked["condition_occurrence"] if a.kind.name.endswith("Descendants") and a.argument == "Male")
        made["concept_ancestor"] = spark.createDataFrame([(male.ids[0], CHILD)], "ancestor_concept_id bigint, descendant_concept_id bigint")
        return made

    def schema(self, table: str) -> str:
        first = self.row(table, 1)
        kinds = {int: "bigint", str: "string", float: "double", date: "date", type(None): "bigint"}
        return ", ".join(f"`{name}` {kinds[type(value)]}" for name, value in first.items())


def planted(db: Database) -> Counter[Defect]:
    """At least eight defects of each type that rows can have; returns how many rows each check must find."""
    free = {table: iter(rows[10:]) for table, rows in db.rows.items()}
    free["condition_occurrence"], sexed = iter(db.rows["condition_occurrence"][30:]), iter(db.rows["condition_occurrence"][:30])
    measured, free["measurement"] = iter(db.rows["measurement"][:20]), iter(db.rows["measurement"][100:])
    said: Counter[Defect] = Counter()
    for check, spoil in SPOILS.items():
        where = [a for table in TABLES for a in db.said.asked[table] if a.kind.name == check and _possible(a, db)]
        for a in _spread(where, check):
            row = next(free[a.table])
            spoil(row, a)
            said[Defect(check, a.table, a.field)] += 1
    for row in (next(sexed) for _ in range(8)):
        said[Defect("plausibleGender", "condition_occurrence", "condition_concept_id", str(row["condition_concept_id"]))] += 1
        row["person_id"] = row["person_id"] % N + 1
    for row in db.rows["condition_occurrence"][122:130]:
        row["person_id"] = row["person_id"] % N + 1
        ids = next(a.concept for a in db.said.asked["condition_occurrence"] if a.kind.name.endswith("Descendants") and a.argument == "Male")
        said[Defect("plausibleGenderUseDescendants", "condition_occurrence", "condition_concept_id", ids)] += 1
    for row in (next(measured) for _ in range(8)):
        row["unit_concept_id"] = db.concept("Unit", "Any")
        said[Defect("plausibleUnitConceptIds", "measurement", "measurement_concept_id", str(row["measurement_concept_id"]))] += 1
    _people(db, said)
    return said


def _people(db: Database, said: Counter[Defect]) -> None:
    """Persons without record, without era, with overlapping periods."""
    for i, table in enumerate(("drug_exposure", "device_exposure", "observation", "specimen") * 2):
        db.rows[table] = [r for r in db.rows[table] if r["person_id"] != 3 + i]
        said[Defect("measurePersonCompleteness", table, "")] += 1
    db.rows["condition_era"] = [r for r in db.rows["condition_era"] if r["person_id"] not in range(141, 156, 2)]
    said[Defect("measureConditionEraCompleteness", "condition_era", "")] += 8
    for i, row in enumerate(db.rows["observation_period"][-8:]):
        later = row | {"observation_period_id": N + 1 + i, "observation_period_start_date": DAY + timedelta(days=i % 3)}
        db.rows["observation_period"].append(later | {"observation_period_end_date": DAY + timedelta(days=90)})
        said[Defect("measureObservationPeriodOverlap", "observation_period", "")] += 1


def _possible(a: Asked, db: Database) -> bool:
    """Only where the defect can be made without another one of the same row."""
    name, asked = a.kind.name, db.asked(a.table, a.field)
    if name == "cdmDatatype":
        return (a.table, a.field) in AS_TEXT
    if a.table in ("death", "person") and name in ("plausibleDuringLife", "plausibleBeforeDeath", "plausibleTemporalAfter", "plausibleAfterBirth", "isPrimaryKey"):
        return False
    if name == "isForeignKey":
        return a.argument == "concept.concept_id" or a.argument.partition(".")[0] in TABLES
    if name in ("measureValueCompleteness", "isRequired"):
        return a.field != "person_id" and "isPrimaryKey" not in asked and db.rows[a.table][0][a.field] is not None
    if name == "plausibleStartBeforeEnd":
        return a.argument in db.rows[a.table][0]
    if name.startswith("plausibleValue"):
        return (a.table, a.field) not in AS_TEXT and "date" in a.field and "birth" not in a.field
    return name not in ("standardConceptRecordCompleteness", "sourceValueCompleteness") or "source_concept" not in a.argument


def _spread(where: list[Asked], check: str) -> Iterator[Asked]:
    """Eight of a check's fields, each table in turn; some again where there are fewer."""
    by_table: dict[str, list[Asked]] = {}
    for a in where:
        by_table.setdefault(a.table, []).append(a)
    turns = cycle([cycle(fields) for fields in by_table.values()])
    assert by_table, f"no field for {check}"
    return (next(next(turns)) for _ in range(8))


def _set(value: Any) -> Callable[[Row, Asked], None]:
    return lambda row, a: row.__setitem__(a.field, value)


def _twice(row: Row, a: Asked) -> None:
    row[a.field] = 1  # the first row's


def _odd(row: Row, a: Asked) -> None:
    row[a.field], row[a.argument] = f"odd {row['person_id'] if 'person_id' in row else id(row)}", 0


def _before(row: Row, a: Asked) -> None:
    row[a.field] = BORN - timedelta(days=200)


def _backwards(row: Row, a: Asked) -> None:
    row[a.field] = row[a.argument] + timedelta(days=2)


def _dead(row: Row, a: Asked) -> None:
    row["person_id"], row[a.field] = 2 + row["person_id"] % (DEAD - 2), DIED + timedelta(days=61)


SPOILS: dict[str, Callable[[Row, Asked], None]] = {
    "isRequired": _set(None), "measureValueCompleteness": _set(None), "cdmDatatype": _set("1.5"), "isPrimaryKey": _twice,
    "isForeignKey": _set(STRANGER), "fkDomain": _set(WRONG), "fkClass": _set(WRONG), "isStandardValidConcept": _set(OBSOLETE),
    "standardConceptRecordCompleteness": _set(0), "sourceConceptRecordCompleteness": _set(0), "sourceValueCompleteness": _odd,
    "plausibleValueLow": _set(date(1840, 1, 1)), "plausibleValueHigh": _set(date(2100, 1, 1)), "plausibleTemporalAfter": _before,
    "plausibleDuringLife": _dead, "withinVisitDates": _set(DAY + timedelta(days=40)), "plausibleAfterBirth": _before,
    "plausibleBeforeDeath": _dead, "plausibleStartBeforeEnd": _backwards,
}  # fmt: skip
