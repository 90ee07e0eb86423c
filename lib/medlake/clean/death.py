"""Deaths: OMOP DEATH, one per person."""

from __future__ import annotations

from medlake.clean.judge import Event

EVENT = Event(
    table="death",
    mapped={
        "person_source_value": "string",
        "death_datetime": "timestamp",
        "cause_source_value": "string",
    },
    required=("person_source_value", "death_datetime"),
    time="death_datetime",
    constants={"death_type_concept_id": 32817},
    identity=(),
    one_per_person=True,
)
