"""north: a hospital that exports FHIR R4 as bulk NDJSON."""

import copy
from collections.abc import Iterable

from .files import Json, as_line, number_of
from .people import BY_PATIENT, World, encounter_of
from .places import SEED

COMPRESSED = {"Encounter", "Observation", "MedicationRequest", "Procedure", "DocumentReference"}
FIRST_EXPORT_AT = "2026-06-30T22:00:00.000+00:00"
SHARE_IN_SOUTH_PERCENT = 35  # of the encounters of somebody known to both hospitals
SHARE_IN_BOTH_PERCENT = 5  # of them: sent on to north as copies
NOTES_PER_PATIENT = 4
OBSERVATIONS_PER_FILE = 9000


def medical_record_number(patient: str) -> str:
    """North's own number of a patient: Synthea repeats the resource id, no hospital does."""
    return f"N{number_of(SEED, 'mrn', patient) % 10**7:07d}"


def happened_in_south(encounter: str) -> bool:
    """Whether an encounter of somebody known to both hospitals took place in south."""
    return number_of(SEED, "where", encounter) % 100 < SHARE_IN_SOUTH_PERCENT


def happened_in_north(encounter: str) -> bool:
    """Whether north holds an encounter of somebody known to both hospitals."""
    return (
        not happened_in_south(encounter) or number_of(SEED, "copied", encounter) % 100 < SHARE_IN_BOTH_PERCENT
    )


def resources(world: World, people: Iterable[str]) -> dict[str, list[Json]]:
    """What north knows of `people`, by resource type, each in its first version."""
    made: dict[str, list[Json]] = {kind: [] for kind in ["Patient", *BY_PATIENT]}
    for key in people:
        made["Patient"].append(_patient(world.patients[key]))
        for kind in BY_PATIENT:
            rows = world.resources[key].get(kind, [])
            if key in world.in_both:
                rows = [row for row in rows if happened_in_north(encounter_of(row))]
            if kind == "DocumentReference":
                rows = sorted(rows, key=lambda row: (str(row["date"]), str(row["id"])))[-NOTES_PER_PATIENT:]
            made[kind] += [_first_version(row) for row in rows]
    made["Medication"] = _medications(world, made["MedicationRequest"])
    for kind, field in (
        ("Organization", "serviceProvider"),
        ("Location", "location"),
        ("Practitioner", "participant"),
    ):
        made[kind] = _referenced(world, kind, field, made["Encounter"])
    return {kind: rows for kind, rows in made.items() if rows}


def files(made: dict[str, list[Json]]) -> dict[str, list[bytes]]:
    """File name -> lines: large resource types compressed, observations in several files."""
    named: dict[str, list[bytes]] = {}
    for kind, rows in made.items():
        lines = [as_line(row) for row in rows]
        if kind == "Observation":
            for part, start in enumerate(range(0, len(lines), OBSERVATIONS_PER_FILE)):
                named[f"Observation.{part:03d}.ndjson.gz"] = lines[start : start + OBSERVATIONS_PER_FILE]
        else:
            named[f"{kind}.ndjson{'.gz' if kind in COMPRESSED else ''}"] = lines
    return named


def _first_version(resource: Json) -> Json:
    """As the server gives it: with a version, without the narrative and the profile."""
    made = {"resourceType": resource["resourceType"], "id": resource["id"]}
    made["meta"] = {"versionId": "1", "lastUpdated": FIRST_EXPORT_AT}
    return made | {name: value for name, value in resource.items() if name not in {*made, "text"}}


def _patient(patient: Json) -> Json:
    made = copy.deepcopy(_first_version(patient))
    for identifier in made["identifier"]:
        if identifier.get("type", {}).get("coding", [{}])[0].get("code") == "MR":
            identifier["value"] = medical_record_number(str(patient["id"]))
    return made


def _medications(world: World, requests: list[Json]) -> list[Json]:
    wanted = {
        row["medicationReference"]["reference"].split("/")[-1]
        for row in requests
        if "medicationReference" in row
    }
    return [_first_version(row) for row in world.lasting["Medication"] if row["id"] in wanted]


def _referenced(world: World, kind: str, field: str, encounters: list[Json]) -> list[Json]:
    wanted = set()
    for encounter in encounters:
        holders = encounter.get(field, [])
        for holder in holders if isinstance(holders, list) else [holders]:
            reference = holder.get("individual") or holder.get("location") or holder
            wanted.add(str(reference["reference"]).split("|")[-1])
    return [
        _first_version(row)
        for row in world.lasting[kind]
        if wanted & {str(identifier["value"]) for identifier in row["identifier"]}
    ]
