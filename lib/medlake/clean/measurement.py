"""Laboratory results and vital signs: OMOP MEASUREMENT, each number in the canonical unit of its code."""

from __future__ import annotations

from dataclasses import replace

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from medlake.clean.judge import Event
from medlake.clean.values import number_of, operator_of, parts_of
from medlake.grammar.quality import Rule, flags

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
    near=("measurement_source_value", "value_source_value", "unit_source_value"),
    moment="MINUTE",
)
VALUE_RULES = (
    Rule("value_missing", "value_source_value IS NULL", False, "Nothing was measured: that is known.", "completeness"),
    Rule(
        "value_not_numeric", "value_source_value IS NOT NULL AND value_as_number IS NULL", False,
        "The result is no single number; what it says is kept as text.", "type",
    ),
)  # fmt: skip
UNIT_RULES = (
    Rule(
        "unit_unknown", "unit_source_value IS NOT NULL AND rule IS NULL", False,
        "The lake does not know this unit: the value is kept, and not compared with others.", "unit",
    ),
    Rule(
        "unit_converted", "value_as_number IS NOT NULL AND (rule.factor <> 1 OR rule.shift <> 0)", False,
        "The value was given in another unit and has been converted.", "unit",
    ),
    Rule(
        "value_out_of_range", "value_std < rule.low OR value_std > rule.high", False,
        "No living body has such a value.", "range",
    ),
)  # fmt: skip
AGE_RULES = (
    Rule(
        "value_unusual_for_age", "value_std < _band.low OR value_std > _band.high", False,
        "The value may occur, but hardly at this age: a wrong unit, patient or date is likelier.", "range",
    ),
)  # fmt: skip
DAYS_A_YEAR = 365.25


def event(units: DataFrame, expected: DataFrame) -> Event:
    """The table's event with its units (see `to_canonical_unit`) and what is expected of values (`with_expected`)."""
    return replace(EVENT, finish=lambda rows: with_expected(to_canonical_unit(with_value(rows), units), expected))


def with_value(rows: DataFrame) -> DataFrame:
    """Adds value_as_number, operator and what `parts_of` tells; a text that is no number is flagged and kept."""
    said = F.col("value_source_value")
    told = rows.withColumns({"value_as_number": number_of(said), "operator": operator_of(said), **parts_of(said)})
    return told.withColumn("qc", flags(VALUE_RULES))


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
    ruled = joined.withColumn("rule", F.coalesce("own", "general"))
    number, factor, shift = F.col("value_as_number"), F.col("rule.factor"), F.col("rule.shift")
    known = F.col("rule").isNotNull() | F.col("unit_source_value").isNull()
    value = F.when(known, number * F.coalesce(factor, F.lit(1.0)) + F.coalesce(shift, F.lit(0.0)))
    converted = ruled.withColumn("value_std", value)
    unit = F.when(F.col("value_std").isNotNull(), F.col("rule.canonical_unit"))
    return converted.withColumns({"unit_std": unit, "qc": flags(UNIT_RULES)}).drop("own", "general", "rule")


def with_expected(rows: DataFrame, expected: DataFrame) -> DataFrame:
    """Adds `expected` and flags values that are unusual at the patient's age.

    `expected`: code, and `expected` = (ages: array of (from_years, below_years, low, high), change, within_days): what
    is usual at which age, and by how much a value may change in so many days.
    """
    code = F.col("code").alias("measurement_source_value")
    told = rows.join(F.broadcast(expected.select(code, "expected")), on="measurement_source_value", how="left")
    age = F.datediff(F.to_date("measurement_datetime"), "born_on") / DAYS_A_YEAR
    band = F.filter("expected.ages", lambda a: (age >= a["from_years"]) & (age < a["below_years"]))
    return told.withColumn("_band", F.get(band, F.lit(0))).withColumn("qc", flags(AGE_RULES)).drop("_band")
