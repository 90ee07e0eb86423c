"""Devices in use: OMOP DEVICE_EXPOSURE."""

from __future__ import annotations

from medlake.clean.judge import Event

EVENT = Event(
    table="device_exposure",
    mapped={
        "person_source_value": "string",
        "visit_source_value": "string",
        "event_source_value": "string",
        "device_source_value": "string",
        "device_source_vocabulary": "string",
        "device_source_name": "string",
        "device_exposure_start_datetime": "timestamp",
        "device_exposure_end_datetime": "timestamp",
        "unique_device_id": "string",
        "production_id": "string",
    },
    required=("person_source_value", "device_source_value", "device_exposure_start_datetime"),
    time="device_exposure_start_datetime",
    ends="device_exposure_end_datetime",
    constants={"device_concept_id": 0, "device_type_concept_id": 32817},
    vocabulary="device_source_vocabulary",
)
