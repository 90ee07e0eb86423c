"""The open zone as OMOP CDM 5.4: every table with OHDSI's columns, order, types and required fields.

Which column comes from where stands in conf/standards/omop.toml.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import reduce
from typing import Any

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from medlake.grammar.errors import ConfigError
from medlake.standards.concepts import with_concepts, with_units

# OHDSI's datatypes as Spark's. OMOP's datetimes have no time zone; here they are UTC.
SPARK_TYPES = {"integer": "int", "float": "double", "date": "date", "datetime": "timestamp_ntz"}
VARCHAR = re.compile(r"varchar\((\d+|MAX)\)")
# Silver's events and the times that say somebody was under observation.
OBSERVED = {
    "visit_occurrence": ("visit_start_date", "visit_end_date"),
    "condition_occurrence": ("condition_start_date", "condition_end_date"),
    "drug_exposure": ("drug_exposure_start_date", "drug_exposure_end_date"),
    "procedure_occurrence": ("procedure_date", None),
    "measurement": ("measurement_date", None),
    "observation": ("observation_date", None),
    "note": ("note_date", None),
    "death": ("death_date", None),
}


@dataclass(frozen=True)
class Field:
    """One column of OMOP. `told`: SQL for its value (None: unknown to the lake); `default`: SQL for a required null."""

    name: str
    type: str
    required: bool
    told: str | None
    default: str | None

    @property
    def spark_type(self) -> str:
        """Spark's type; a key is a whole number of 64 bits, as the lake's ids are."""
        if VARCHAR.fullmatch(self.type):
            return "string"
        is_key = self.name.endswith("_id") and not self.name.endswith("_concept_id")
        return "bigint" if self.type == "integer" and is_key else SPARK_TYPES[self.type]

    @property
    def length(self) -> int | None:
        """The most characters OMOP allows; None where there is no limit."""
        found = VARCHAR.fullmatch(self.type)
        return int(found[1]) if found and found[1] != "MAX" else None


@dataclass(frozen=True)
class Table:
    """One table of OMOP and what it is made of; `code` … `unit` name columns of `of` that are mapped to concepts."""

    name: str
    of: str
    fields: tuple[Field, ...]
    code: str | None = None
    vocabulary: str | None = None
    label: str | None = None
    domain: str | None = None
    unit: str | None = None


def specification(toml: Mapping[str, Any]) -> dict[str, Table]:
    """The tables of conf/standards/omop.toml by name.

    Raises:
        ConfigError: a column has a type OMOP does not know, or is required and can never have a value.
    """
    tables, faults = {}, []
    for name, said in toml.items():
        fields = []
        for column, f in said.get("column", {}).items():
            default = f.get("default", "0" if column.endswith("_concept_id") else None)
            field = Field(column, f["type"], f.get("required", False), f.get("from"), default)
            if field.type not in SPARK_TYPES and not VARCHAR.fullmatch(field.type):
                faults.append(f"{name}.{column}: unknown type {field.type}")
            if field.required and field.told is None and field.default is None:
                faults.append(f"{name}.{column}: required, but neither `from` nor `default`")
            fields.append(field)
        tables[name] = Table(name, fields=tuple(fields), **{k: v for k, v in said.items() if k != "column"})
    if faults:
        raise ConfigError("conf/standards/omop.toml: " + "; ".join(faults))
    return tables


def to_omop(rows: DataFrame, table: Table, mapping: DataFrame) -> DataFrame:
    """The rows of `table.of` as OMOP's columns, and `_n_cut`: cells of the row that were longer than OMOP allows.

    `mapping`: see `concepts.code_map`. A text is cut to OMOP's length. A required null becomes the column's default;
    what has none stays null for the step to refuse (see `counted`).
    """
    if table.code and table.vocabulary:
        rows = with_concepts(rows, mapping, code=table.code, vocabulary=table.vocabulary, domain=table.domain)
    if table.unit:
        rows = with_units(rows, mapping, unit=table.unit)
    long = [(F.expr(f.told), f.length) for f in table.fields if f.told and f.length is not None]
    cut = [F.when(F.length(column) > length, 1).otherwise(0) for column, length in long]
    n_cut = reduce(Column.__add__, cut, F.lit(0))
    return rows.select(*[_column(f).alias(f.name) for f in table.fields], n_cut.alias("_n_cut"))


def _column(field: Field) -> Column:
    value = F.expr(field.told) if field.told else F.lit(None)
    if field.required and field.default is not None:
        value = F.coalesce(value, F.expr(field.default))
    value = value.cast(field.spark_type)
    return value if field.length is None else F.substring(value, 1, field.length)


def counted(table: Table) -> list[Column]:
    """What to count while the rows go by: n_rows, n_cut and n_null (rows without a value that OMOP requires)."""
    nulls = [F.col(f.name).isNull() for f in table.fields if f.required]
    return [
        F.count(F.lit(1)).alias("n_rows"),
        F.coalesce(F.sum("_n_cut"), F.lit(0)).alias("n_cut"),
        F.count_if(reduce(Column.__or__, nulls)).alias("n_null"),
    ]


def observation_periods(events: Mapping[str, DataFrame]) -> DataFrame:
    """OBSERVATION_PERIOD: one per person with events, from the first to the last day of any of them.

    `events`: silver tables by name (see OBSERVED). A person without events has none. The period's id is the
    person's: there is one each.
    """
    told = {name: span for name, span in OBSERVED.items() if name in events}
    days = [events[name].select("person_id", *_span(start, end)) for name, (start, end) in told.items()]
    return (
        reduce(DataFrame.unionByName, days)
        .groupBy("person_id")
        .agg(
            F.min("start_on").alias("observation_period_start_date"),
            F.max("end_on").alias("observation_period_end_date"),
        )
        .withColumn("observation_period_id", F.col("person_id"))
    )


def _span(start: str, end: str | None) -> Iterable[Column]:
    last = F.greatest(start, end) if end else F.col(start)  # an end before its start (flagged) does not count
    return F.col(start).alias("start_on"), last.alias("end_on")


def harmless(rows: DataFrame) -> DataFrame:
    """For CSV: a text that a spreadsheet would take for a formula gets an apostrophe before it."""
    texts = [f.name for f in rows.schema.fields if f.dataType.typeName() == "string"]
    formula = {c: F.col(c).rlike(r"^[=+\-@\t\r]") for c in texts}
    safe = {c: F.when(is_one, F.concat(F.lit("'"), F.col(c))).otherwise(F.col(c)) for c, is_one in formula.items()}
    return rows.withColumns(safe) if safe else rows
