"""Conditions: OMOP CONDITION_OCCURRENCE."""

from __future__ import annotations

from medlake.clean.judge import Event

EVENT = Event(
    table="condition_occurrence",
    mapped={
        "person_source_value": "string",
        "visit_source_value": "string",
        "event_source_value": "string",
        "condition_source_value": "string",
        "condition_source_vocabulary": "string",
        "condition_source_name": "string",
        "condition_start_datetime": "timestamp",
        "condition_end_datetime": "timestamp",
    },
    required=("person_source_value", "condition_source_value", "condition_start_datetime"),
    time="condition_start_datetime",
    ends="condition_end_datetime",
    constants={"condition_concept_id": 0, "condition_type_concept_id": 32817},
    vocabulary="condition_source_vocabulary",
    near=("condition_source_value",),
)
