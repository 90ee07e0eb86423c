"""Laboratory results and vital signs: OMOP MEASUREMENT, each number in the canonical unit of its code."""

from __future__ import annotations

from dataclasses import replace

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from medlake.clean.judge import Event
from medlake.clean.values import number_of, operator_of

EVENT = Event(
    table="measurement",
    mapped={
        "person_source_value": "string",
        "visit_source_value": "string",
        "event_source_value": "string",
        "measurement_source_value": "string",
        "measurement_source_vocabulary": "string",
        "measurement_source_name": "string",
        "measurement_datetime": "timestamp",
        "value_source_value": "string",
        "unit_source_value": "string",
        "flag_source_value": "string",
    },
    required=("person_source_value", "measurement_source_value", "measurement_datetime"),
    time="measurement_datetime",
    constants={"measurement_concept_id": 0, "measurement_type_concept_id": 32817},
    vocabulary="measurement_source_vocabulary",
)


def event(units: DataFrame) -> Event:
    """The table's event with its units (see `to_canonical_unit`)."""
    return replace(EVENT, finish=lambda rows: to_canonical_unit(with_value(rows), units))


def with_value(rows: DataFrame) -> DataFrame:
    """Adds value_as_number and operator; a text that is no number is flagged and kept as text."""
    number = number_of(F.col("value_source_value"))
    flags = F.array_compact(
        F.array(
            F.when(F.col("value_source_value").isNull(), F.lit("value_missing")),
            F.when(F.col("value_source_value").isNotNull() & number.isNull(), F.lit("value_not_numeric")),
        )
    )
    operator = operator_of(F.col("value_source_value"))
    return rows.withColumns({"value_as_number": number, "operator": operator, "qc": F.concat("qc", flags)})


def to_canonical_unit(rows: DataFrame, units: DataFrame) -> DataFrame:
    """Adds value_std and unit_std: the value in the canonical unit of its code.

    `units`: code (null: any code), unit (as a source writes it), factor, shift (canonical = value × factor +
    shift), canonical_unit, low, high (plausible, in the canonical unit; null: no limit). A number without a
    unit, or in a unit that is not listed, keeps its value; an unlisted unit is flagged `unit_unknown` and gives
    no value_std.
    """
    own = units.where(F.col("code").isNotNull()).select(
        F.col("code").alias("measurement_source_value"), F.col("unit").alias("unit_source_value"),
        F.struct("factor", "shift", "canonical_unit", "low", "high").alias("own"),
    )  # fmt: skip
    general = units.where(F.col("code").isNull()).select(
        F.col("unit").alias("unit_source_value"),
        F.struct("factor", "shift", "canonical_unit", "low", "high").alias("general"),
    )
    joined = rows.join(own, on=["measurement_source_value", "unit_source_value"], how="left").join(
        general, on="unit_source_value", how="left"
    )
    rule = F.coalesce("own", "general")
    number = F.col("value_as_number")
    known = rule.isNotNull() | F.col("unit_source_value").isNull()
    value = F.when(known, number * F.coalesce(rule["factor"], F.lit(1.0)) + F.coalesce(rule["shift"], F.lit(0.0)))
    flags = F.array_compact(
        F.array(
            F.when(~known, F.lit("unit_unknown")),
            F.when(number.isNotNull() & ((rule["factor"] != 1.0) | (rule["shift"] != 0.0)), F.lit("unit_converted")),
            F.when((value < rule["low"]) | (value > rule["high"]), F.lit("value_out_of_range")),
        )
    )
    unit = F.when(value.isNotNull(), rule["canonical_unit"])
    return joined.withColumns({"value_std": value, "unit_std": unit, "qc": F.concat("qc", flags)}).drop(
        "own", "general"
    )
