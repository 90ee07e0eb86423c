"""Procedures: OMOP PROCEDURE_OCCURRENCE."""

from __future__ import annotations

from medlake.clean.judge import Event

EVENT = Event(
    table="procedure_occurrence",
    mapped={
        "person_source_value": "string",
        "visit_source_value": "string",
        "event_source_value": "string",
        "procedure_source_value": "string",
        "procedure_source_vocabulary": "string",
        "procedure_source_name": "string",
        "procedure_datetime": "timestamp",
    },
    required=("person_source_value", "procedure_source_value", "procedure_datetime"),
    time="procedure_datetime",
    constants={"procedure_concept_id": 0, "procedure_type_concept_id": 32817},
    vocabulary="procedure_source_vocabulary",
    near=("procedure_source_value",),
)
