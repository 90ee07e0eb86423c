"""Prescribed, given and dispensed drugs: OMOP DRUG_EXPOSURE."""

from __future__ import annotations

from medlake.clean.judge import Event

EVENT = Event(
    table="drug_exposure",
    mapped={
        "person_source_value": "string",
        "visit_source_value": "string",
        "event_source_value": "string",
        "drug_source_value": "string",
        "drug_source_vocabulary": "string",
        "drug_source_name": "string",
        "drug_exposure_start_datetime": "timestamp",
        "drug_exposure_end_datetime": "timestamp",
        "quantity": "double",
        "drug_type_concept_id": "int",
    },
    required=("person_source_value", "drug_source_value", "drug_exposure_start_datetime"),
    time="drug_exposure_start_datetime",
    ends="drug_exposure_end_datetime",
    constants={"drug_concept_id": 0},
    defaults={"drug_type_concept_id": 32817},
    vocabulary="drug_source_vocabulary",
    near=("drug_source_value", "drug_type_concept_id", "quantity"),
)
