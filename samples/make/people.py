"""Who takes part: which of Synthea's people go to north, to south, to both, or arrive on the second night."""

import csv
import json
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

from .files import Json, number_of
from .places import SEED

NORTH_FIRST_NIGHT = 100
NORTH_SECOND_NIGHT = 4
IN_BOTH = 30  # of whom the last one comes to north only on the second night
SOUTH_ONLY = 30
CHILDREN_AT_MOST = 12
ADULT_BORN_BEFORE = "2008-06-30"
# Sizes count the kept resources without notes: one dialysis patient alone would fill the samples.
SMALLEST_HISTORY_BYTES = 25_000
LARGEST_HISTORY_BYTES = 480_000
LARGEST_TELLING_BYTES = 1_200_000
# Routine that Synthea repeats at nearly every visit, half of all its procedures:
ROUTINE = ("dental", "teeth", "oral health", "gingiv", "assessment", "screening", "reconciliation")

BY_PATIENT = [
    "Encounter",
    "Condition",
    "Observation",
    "MedicationRequest",
    "Procedure",
    "Immunization",
    "DocumentReference",
    "ImagingStudy",
]
LASTING = ["Organization", "Practitioner", "Location", "Medication"]


@dataclass
class World:
    """Everything Synthea made, by patient, and the parts people play in the samples."""

    patients: dict[str, Json]
    resources: dict[str, dict[str, list[Json]]]  # patient -> resource type -> resources
    lasting: dict[str, list[Json]]  # resource type -> resources that belong to no patient
    csv_rows: dict[str, list[dict[str, str]]]
    north_first: list[str] = field(default_factory=list)
    north_second: list[str] = field(default_factory=list)
    in_both: list[str] = field(default_factory=list)
    south_only: list[str] = field(default_factory=list)

    @property
    def north(self) -> list[str]:
        """Everyone whom north knows after both nights."""
        return self.north_first + self.north_second


def read(export: Path) -> World:
    """Read Synthea's export; people and resources are ordered by id, whatever order Synthea wrote them in."""
    patients = {row["id"]: row for row in _ndjson(export, "Patient")}
    resources: dict[str, dict[str, list[Json]]] = defaultdict(dict)
    for kind in BY_PATIENT:
        for resource in sorted(filter(is_wanted, _ndjson(export, kind)), key=lambda row: str(row["id"])):
            resources[patient_of(resource)].setdefault(kind, []).append(resource)
    lasting = {kind: sorted(_ndjson(export, kind), key=lambda row: str(row["id"])) for kind in LASTING}
    tables = {}
    for path in sorted((export / "csv").glob("*.csv")):
        with path.open(encoding="utf-8", newline="") as stream:
            tables[path.stem] = list(csv.DictReader(stream))
    world = World(dict(sorted(patients.items())), resources, lasting, tables)
    _cast(world)
    return world


def patient_of(resource: Json) -> str:
    """The id of the patient that a resource is about."""
    reference = (resource.get("subject") or resource["patient"])["reference"]
    return str(reference).removeprefix("Patient/")


def encounter_of(resource: Json) -> str:
    """The id of the encounter that a resource belongs to, empty where it names none."""
    if resource["resourceType"] == "Encounter":
        return str(resource["id"])
    holder = resource.get("encounter") or (resource.get("context", {}).get("encounter") or [{}])[0]
    return str(holder.get("reference", "")).removeprefix("Encounter/")


def is_wanted(resource: Json) -> bool:
    """Leave out what would fill the samples and say little: long questionnaires, routine procedures."""
    if resource["resourceType"] == "Procedure":
        return not any(word in resource["code"]["text"].lower() for word in ROUTINE)
    if resource["resourceType"] == "Observation" and resource["category"][0]["coding"][0]["code"] == "survey":
        return "valueQuantity" in resource
    return True


def _ndjson(export: Path, kind: str) -> list[Json]:
    rows = []
    for path in sorted((export / "fhir").glob(f"{kind}.*ndjson")):
        rows += [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return rows


def _cast(world: World) -> None:
    """Choose people by a hash of their id, those with a death or with images first."""
    shuffled = sorted(
        world.patients, key=lambda key: (not _is_telling(world, key), number_of(SEED, "cast", key))
    )
    chosen, children = [], 0
    for key in shuffled:
        largest = LARGEST_TELLING_BYTES if _is_telling(world, key) else LARGEST_HISTORY_BYTES
        if not SMALLEST_HISTORY_BYTES <= _size(world, key) <= largest:
            continue
        is_child = world.patients[key]["birthDate"] > ADULT_BORN_BEFORE
        if is_child and children == CHILDREN_AT_MOST:
            continue
        children += is_child
        chosen.append(key)
    needed = NORTH_FIRST_NIGHT + NORTH_SECOND_NIGHT + SOUTH_ONLY
    if len(chosen) < needed:
        raise ValueError(f"Synthea gave {len(chosen)} suitable people, {needed} are needed")
    world.north_first = sorted(chosen[:NORTH_FIRST_NIGHT])
    world.north_second = sorted(chosen[NORTH_FIRST_NIGHT : NORTH_FIRST_NIGHT + NORTH_SECOND_NIGHT])
    world.south_only = sorted(chosen[NORTH_FIRST_NIGHT + NORTH_SECOND_NIGHT : needed])
    adults = [
        key for key in chosen[:NORTH_FIRST_NIGHT] if world.patients[key]["birthDate"] <= ADULT_BORN_BEFORE
    ]
    adults.sort(key=lambda key: (_name(world, key).isascii(), number_of(SEED, "in both", key)))
    world.in_both = [*adults[: IN_BOTH - 1], world.north_second[0]]


def _name(world: World, key: str) -> str:
    return "".join([world.patients[key]["name"][0]["family"], *world.patients[key]["name"][0]["given"]])


def _is_telling(world: World, key: str) -> bool:
    """Whether somebody has died or has an image other than a dentist's."""
    studies = world.resources[key].get("ImagingStudy", [])
    modalities = {series["modality"]["code"] for study in studies for series in study["series"]}
    return "deceasedDateTime" in world.patients[key] or bool(modalities - {"DX"})


def _size(world: World, key: str) -> int:
    kinds = world.resources[key]
    return sum(len(json.dumps(row)) for kind in kinds if kind != "DocumentReference" for row in kinds[kind])
