"""Material taken from a person: OMOP SPECIMEN."""

from __future__ import annotations

from medlake.clean.judge import Event

EVENT = Event(
    table="specimen",
    mapped={
        "person_source_value": "string",
        "event_source_value": "string",
        "specimen_source_value": "string",
        "specimen_source_vocabulary": "string",
        "specimen_source_name": "string",
        "specimen_datetime": "timestamp",
        "quantity": "double",
        "unit_source_value": "string",
        "anatomic_site_source_value": "string",
        "specimen_source_id": "string",
    },
    required=("person_source_value", "specimen_source_value", "specimen_datetime"),
    time="specimen_datetime",
    constants={"specimen_concept_id": 0, "specimen_type_concept_id": 32817},
    vocabulary="specimen_source_vocabulary",
)
