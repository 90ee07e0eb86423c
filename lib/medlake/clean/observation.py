"""Social history, surveys and other observations that are no measurement: OMOP OBSERVATION."""

from __future__ import annotations

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from medlake.clean.judge import Event
from medlake.clean.values import number_of
from medlake.grammar.quality import Rule, flags

RULES = (Rule("value_missing", "value_source_value IS NULL", False, "The observation says nothing.", "completeness"),)


def with_value(rows: DataFrame) -> DataFrame:
    """Adds value_as_number and value_as_string; a missing value is flagged."""
    value = F.col("value_source_value")
    return rows.withColumns({"value_as_number": number_of(value), "value_as_string": value, "qc": flags(RULES)})


EVENT = Event(
    table="observation",
    mapped={
        "person_source_value": "string",
        "visit_source_value": "string",
        "event_source_value": "string",
        "observation_source_value": "string",
        "observation_source_vocabulary": "string",
        "observation_source_name": "string",
        "observation_datetime": "timestamp",
        "value_source_value": "string",
        "unit_source_value": "string",
    },
    required=("person_source_value", "observation_source_value", "observation_datetime"),
    time="observation_datetime",
    constants={"observation_concept_id": 0, "observation_type_concept_id": 32817},
    vocabulary="observation_source_vocabulary",
    finish=with_value,
)
