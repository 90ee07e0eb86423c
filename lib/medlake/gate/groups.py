"""The second scan: what only many rows together say. Keys that stand twice, references, concepts, source values.

Every value that is to be looked up, of whatever column and table, is one row (place, value, beside); equal ones are
counted together, and one join finds what all of them refer to.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from medlake.gate.resolve import Check
from medlake.gate.rows import KEYS, least, named, taken_apart, with_samples

VALUE, SOURCE = "value", "source"
# place: of which column a value is; to: the table.column it refers to; the rest: numbers of figures, and what is right.
PLACES = (
    "place int, to string, domain string, class string, twice int, orphan int, person int, of_domain int, "
    "of_class int, standard int, zero int, distinct int"
)
# rules of single concepts, by place and concept: what the value beside must be, or must not
CONCEPTS = "place int, value string, right string, wrong int, of int"
DESCENDANTS = "place int, ancestor string, right string, wrong int, of int"
TARGET = "to string, value string, found boolean, domain_id string, concept_class_id string, is_standard boolean"
NO_UNIT = "-1"
SEX = {"Male": "8507", "Female": "8532"}


@dataclass(frozen=True)
class Place:
    """One column whose values are looked up. `kind`: by themselves, or as source values beside their concept."""

    number: int
    column: str
    kind: str
    beside: str = "CAST(NULL AS STRING)"  # SQL
    zero: str = "CAST(NULL AS BOOLEAN)"  # SQL: the value is mapped to concept 0
    when: str = "true"
    to: str | None = None
    domain: str | None = None
    concept_class: str | None = None
    figures: Mapping[str, int] = field(default_factory=dict)

    def as_row(self) -> tuple[object, ...]:
        """A row of PLACES."""
        names = ("twice", "orphan", "person", "of_domain", "of_class", "standard", "zero", "distinct")
        return (self.number, self.to, self.domain, self.concept_class, *[self.figures.get(n) for n in names])


@dataclass(frozen=True)
class ConceptRule:
    """One check of one concept (or of all that it includes): `right` are the values that may stand beside it."""

    place: int
    value: str
    right: str
    wrong: int
    of: int

    def as_row(self) -> tuple[object, ...]:
        """A row of CONCEPTS or DESCENDANTS."""
        return (self.place, self.value, self.right, self.wrong, self.of)


FIGURE_OF = {
    "isPrimaryKey": "twice", "isForeignKey": "orphan", "fkDomain": "of_domain", "fkClass": "of_class",
    "isStandardValidConcept": "standard", "sourceValueCompleteness": "zero", "measurePersonCompleteness": "person",
}  # fmt: skip
BESIDE = {
    "plausibleGender": "CAST(_sex AS STRING)", "plausibleGenderUseDescendants": "CAST(_sex AS STRING)",
    "plausibleUnitConceptIds": f"coalesce(CAST(unit_concept_id AS STRING), '{NO_UNIT}')",
}  # fmt: skip


@dataclass
class Lookups:
    """What the second scan looks up of one table: its places and the rules of its concepts."""

    places: list[Place]
    rules: list[ConceptRule]
    descendants: list[ConceptRule]
    wrong: dict[int, int]  # number of a check → its figure
    of: dict[int, int]


def lookups(checks: Sequence[Check], figure: Iterable[int], place: Iterable[int]) -> Lookups:
    """The places of one table's checks; `figure` and `place` give numbers that nothing else has."""
    figures, numbers = iter(figure), iter(place)
    said = Lookups([], [], [], {}, {})
    at: dict[tuple[str, str], Place] = {}
    for check in checks:
        a = check.asked
        if check.why_not or check.name not in (*FIGURE_OF, *BESIDE):
            continue
        column = "person_id" if check.name == "measurePersonCompleteness" else a.field
        where = (column, check.name.removesuffix("UseDescendants") if check.name in BESIDE else _kind(check.name))
        known = at.get(where) or Place(next(numbers), column, _kind(check.name))
        if check.name in BESIDE:
            unit = "value_as_number IS NOT NULL" if check.name == "plausibleUnitConceptIds" else "true"
            at[where] = replace(known, beside=BESIDE[check.name], when=unit)
            rules = said.descendants if check.name.endswith("UseDescendants") else said.rules
            said.wrong[check.number], said.of[check.number] = next(figures), next(figures)
            right = SEX.get(a.argument, a.argument)
            numbered = (said.wrong[check.number], said.of[check.number])
            rules += [ConceptRule(known.number, str(i), right, *numbered) for i in a.ids]
            continue
        said.wrong[check.number] = next(figures)
        told = {**known.figures, FIGURE_OF[check.name]: said.wrong[check.number]}
        if check.name == "sourceValueCompleteness":
            said.of[check.number] = told["distinct"] = next(figures)
            known = replace(known, zero=f"`{a.argument}` = 0")
        known = replace(known, domain=a.argument) if check.name == "fkDomain" else known
        known = replace(known, concept_class=a.argument) if check.name == "fkClass" else known
        at[where] = replace(known, figures=told, to=_to(check) or known.to)
    said.places = list(at.values())
    return said


def _kind(name: str) -> str:
    return SOURCE if name == "sourceValueCompleteness" else VALUE


def _to(check: Check) -> str | None:
    if check.name == "isForeignKey":
        return check.asked.argument
    if check.name in ("fkDomain", "fkClass", "isStandardValidConcept"):
        return "concept.concept_id"
    return "person.person_id" if check.name == "measurePersonCompleteness" else None


def items(rows: DataFrame, places: Sequence[Place], key: str | None) -> DataFrame:
    """(place, value, beside, is_zero, key): one row for each value that stands in one of the places."""
    told = ", ".join(
        f"CASE WHEN `{p.column}` IS NOT NULL AND ({p.when}) THEN named_struct('place', {p.number}, "
        f"'value', CAST(`{p.column}` AS STRING), 'beside', {p.beside}, 'is_zero', {p.zero}) END"
        for p in places
    )
    every = rows.select(F.explode(F.expr(f"array_compact(array({told}))")).alias("item"), named(key))
    return every.select("item.*", "key")


def targets(table: str, column: str, rows: DataFrame) -> DataFrame:
    """A table's keys as TARGET; concepts with what is said of them."""
    said = {"domain_id": F.lit(None).cast("string"), "concept_class_id": F.lit(None).cast("string")}
    standard = F.lit(None).cast("boolean")
    if table == "concept" and column == "concept_id":
        said = {name: F.col(name) for name in said}
        standard = F.coalesce(F.col("standard_concept") == "S", F.lit(False)) & F.col("invalid_reason").isNull()
    told = rows.select(F.col(column).cast("string").alias("value"), *[c.alias(n) for n, c in said.items()],
                       standard.alias("is_standard"))  # fmt: skip
    one = told.groupBy("value").agg(
        F.min("domain_id").alias("domain_id"), F.min("concept_class_id").alias("concept_class_id"),
        F.bool_and("is_standard").alias("is_standard"),
    )  # fmt: skip
    return one.select(F.lit(f"{table}.{column}").alias("to"), F.lit(True).alias("found"), *one.columns)


def looked_up(every: DataFrame, places: DataFrame, known: DataFrame, rules: DataFrame) -> DataFrame:
    """(code, n, keys) of `items` of all tables.

    `places`: PLACES; `known`: `targets` of all that is referred to; `rules`: CONCEPTS.
    """
    alike = with_samples(every).groupBy("place", "value", "beside").agg(
        F.count(F.lit(1)).alias("n"), F.bool_or("is_zero").alias("is_zero"), *least()
    )  # fmt: skip
    by = rules.groupBy("place", "value").agg(F.collect_list(F.struct("right", "wrong", "of")).alias("rules"))
    told = alike.join(F.broadcast(places), on="place", how="left")
    alone = (F.col("n") == 1) & F.col("to").isNull() & F.col("twice").isNotNull()  # nearly all primary keys
    joined = told.where(~F.coalesce(alone, F.lit(False))).join(known, on=["to", "value"], how="left")
    judged = joined.join(F.broadcast(by), on=["place", "value"], how="left")
    counts = F.filter(F.concat(F.array(*_counts()), F.coalesce(_ruled(), F.array())), lambda c: c["code"].isNotNull())
    return taken_apart(judged.select(F.explode(counts).alias("c"), *KEYS).select("c.code", "c.n", *KEYS))


def _counts() -> list[Column]:
    none = F.col("found").isNull()
    concept = ~none & (F.col("value") != "0")
    n, one = F.col("n"), F.lit(1).cast("bigint")
    return [
        _count(n > 1, F.col("twice"), n),
        _count(none, F.col("orphan"), n),
        _count(~none, F.col("person"), one),
        _count(concept & (F.col("domain_id") != F.col("domain")), F.col("of_domain"), n),
        _count(concept & (F.col("concept_class_id") != F.col("class")), F.col("of_class"), n),
        _count(concept & ~F.col("is_standard"), F.col("standard"), n),
        _count(F.coalesce("is_zero", F.lit(False)), F.col("zero"), one),
        _count(F.lit(True), F.col("distinct"), one),
    ]


def _ruled() -> Column:
    """The counts of the rules of single concepts."""
    wrong = F.col("beside").isNotNull()
    n = F.col("n")
    return F.flatten(
        F.transform(
            "rules",
            lambda rule: F.array(
                _count(wrong & ~F.array_contains(F.split(rule["right"], ","), F.col("beside")), rule["wrong"], n),
                _count(F.lit(True), rule["of"], n),
            ),
        )
    )


def _count(when: Column, figure: Column, n: Column) -> Column:
    return F.struct(F.when(when, figure).alias("code"), n.alias("n"))


def of_descendants(rules: DataFrame, concept_ancestor: DataFrame) -> DataFrame:
    """Rules of ancestors (DESCENDANTS) as rules of each concept that they include (CONCEPTS)."""
    pairs = concept_ancestor.select(
        F.col("ancestor_concept_id").cast("string").alias("ancestor"),
        F.col("descendant_concept_id").cast("string").alias("value"),
    )
    found = rules.join(pairs, on="ancestor", how="inner")
    return found.select("place", "value", "right", "wrong", "of").distinct()


def eras_missing(conditions: DataFrame, eras: DataFrame, wrong: int, of: int) -> DataFrame:
    """(codes, key) per person with conditions: has he or she any condition era?"""
    seen = conditions.select("person_id").distinct()
    told = eras.select("person_id", F.lit(True).alias("_has")).distinct()
    rows = seen.join(told, on="person_id", how="left")
    codes = F.array_compact(F.array(F.lit(of), F.when(F.col("_has").isNull(), F.lit(wrong))))
    return rows.select(codes.alias("codes"), named("person_id"))


def periods_overlapping(periods: DataFrame, wrong: int, of: int) -> DataFrame:
    """(codes, key) per person with observation periods: does one begin before the day after another's end?"""
    spans = F.array_sort(
        F.collect_list(
            F.struct(
                F.to_date("observation_period_start_date").alias("start"),
                F.to_date("observation_period_end_date").alias("end"),
            )
        )
    )
    by = periods.groupBy("person_id").agg(spans.alias("spans"))
    later = F.slice("spans", 2, F.greatest(F.size("spans") - 1, F.lit(0)))
    touching = F.exists(
        F.zip_with("spans", later, lambda a, b: b["start"] <= F.date_add(a["end"], 1)),
        lambda x: F.coalesce(x, F.lit(False)),
    )
    codes = F.array_compact(F.array(F.lit(of), F.when(touching, F.lit(wrong))))
    return by.select(codes.alias("codes"), named("person_id"))
