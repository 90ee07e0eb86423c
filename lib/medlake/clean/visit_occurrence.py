"""Visits: OMOP VISIT_OCCURRENCE. Type concept 32817 is OMOP's "EHR"."""

from __future__ import annotations

from medlake.clean.judge import Event

EVENT = Event(
    table="visit_occurrence",
    mapped={
        "visit_source_value": "string",
        "person_source_value": "string",
        "visit_start_datetime": "timestamp",
        "visit_end_datetime": "timestamp",
        "visit_concept_id": "int",
        "visit_type_source_value": "string",
        "reason_source_value": "string",
        "reason_source_name": "string",
        "care_site_name": "string",  # taken, not given out: a place smaller than a state identifies
    },
    required=("visit_source_value", "person_source_value", "visit_start_datetime"),
    time="visit_start_datetime",
    ends="visit_end_datetime",
    defaults={"visit_concept_id": 0},
    constants={"visit_type_concept_id": 32817},
    identity=("visit_source_value",),
)
