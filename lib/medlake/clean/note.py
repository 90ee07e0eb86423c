"""Clinical texts: OMOP NOTE. Identifiers go in privacy/scrub_text."""

from __future__ import annotations

from medlake.clean.judge import Event

EVENT = Event(
    table="note",
    mapped={
        "person_source_value": "string",
        "visit_source_value": "string",
        "event_source_value": "string",
        "note_text": "string",
        "note_title": "string",
        "note_class_source_value": "string",
        "note_datetime": "timestamp",
    },
    required=("person_source_value", "note_text", "note_datetime"),
    time="note_datetime",
    constants={"note_type_concept_id": 32817},
)
