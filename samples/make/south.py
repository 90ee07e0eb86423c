"""south: a clinic that hands over the CSV tables of its own system."""

from .files import csv_lines, number_of
from .north import happened_in_south
from .people import ROUTINE, World
from .places import SEED
from .south_people import COLUMNS as PATIENT_COLUMNS
from .south_people import Row, key_of, patients

COLUMNS = {
    "patients": PATIENT_COLUMNS,
    "encounters": [
        "ID",
        "START",
        "STOP",
        "PATIENT",
        "DEPARTMENT",
        "ENCOUNTERCLASS",
        "CODE",
        "DESCRIPTION",
        "REASONCODE",
        "REASONDESCRIPTION",
    ],
    "conditions": ["START", "STOP", "PATIENT", "ENCOUNTER", "CODE", "DESCRIPTION"],
    "medications": [
        "START",
        "STOP",
        "PATIENT",
        "ENCOUNTER",
        "CODE",
        "DESCRIPTION",
        "DISPENSES",
        "REASONCODE",
        "REASONDESCRIPTION",
    ],
    "procedures": [
        "START",
        "STOP",
        "PATIENT",
        "ENCOUNTER",
        "CODE",
        "DESCRIPTION",
        "REASONCODE",
        "REASONDESCRIPTION",
    ],
    "observations": [
        "ID",
        "DATE",
        "PATIENT",
        "ENCOUNTER",
        "CATEGORY",
        "CODE",
        "DESCRIPTION",
        "VALUE",
        "UNITS",
        "TYPE",
    ],
}
DEPARTMENTS = ["South Clinic, Medicine", "South Clinic, Surgery", "South Clinic, Family Practice"]
ARCHIVED_BEFORE = "2024-01-01"  # older results come in a compressed file of their own


def tables(world: World) -> tuple[dict[str, list[Row]], dict[str, str]]:
    """south's rows by table, and the variant of each shared patient."""
    people, variants = patients(world)
    made: dict[str, list[Row]] = {"patients": sorted(people.values(), key=lambda row: row["ID"])}
    held = {row["Id"] for row in world.csv_rows["encounters"] if _is_held(world, row["PATIENT"], row["Id"])}
    made["encounters"] = sorted(
        (_encounter(world, row) for row in world.csv_rows["encounters"] if row["Id"] in held),
        key=lambda row: row["ID"],
    )
    for table in ("conditions", "medications", "procedures", "observations"):
        rows = [
            _event(world, row)
            for row in world.csv_rows[table]
            if row["ENCOUNTER"] in held and _is_wanted(row)
        ]
        made[table] = sorted(
            rows, key=lambda row: [row[column] for column in COLUMNS[table] if column != "ID"]
        )
    for position, row in enumerate(made["observations"], 1):
        row["ID"] = f"R{position:06d}"
    return made, variants


def files(made: dict[str, list[Row]]) -> dict[str, list[str]]:
    """File name -> lines; patients have semicolons (and are written in Latin-1)."""
    named = {
        f"{table}.csv": csv_lines(rows, COLUMNS[table], ";" if table == "patients" else ",")
        for table, rows in made.items()
        if table != "observations"
    }
    for name, is_old in (("observations_archive.csv.gz", True), ("observations.csv", False)):
        rows = [row for row in made["observations"] if (row["DATE"] < ARCHIVED_BEFORE) == is_old]
        named[name] = csv_lines(rows, COLUMNS["observations"])
    return named


def patient_lines(rows: list[Row]) -> list[str]:
    """Further lines of patients.csv, without a header."""
    return csv_lines(rows, PATIENT_COLUMNS, ";")[1:]


def encounter_key(encounter: str) -> str:
    """south's own number of an encounter."""
    return f"E{number_of(SEED, 'encounter', encounter) % 10**9:09d}"


def _is_held(world: World, patient: str, encounter: str) -> bool:
    return patient in world.south_only or (patient in world.in_both and happened_in_south(encounter))


def _is_wanted(row: Row) -> bool:
    if "TYPE" in row:
        return row["CATEGORY"] != "survey" or row["TYPE"] == "numeric"
    return not any(word in row["DESCRIPTION"].lower() for word in ROUTINE) or "DISPENSES" in row


def _encounter(world: World, row: Row) -> Row:
    made = {column: row.get(column, "") for column in COLUMNS["encounters"]}
    department = DEPARTMENTS[number_of(SEED, "department", row["Id"]) % len(DEPARTMENTS)]
    made |= {
        "ID": encounter_key(row["Id"]),
        "PATIENT": key_of(world, row["PATIENT"]),
        "DEPARTMENT": department,
    }
    return made


def _event(world: World, row: Row) -> Row:
    made = dict(row)
    made |= {"PATIENT": key_of(world, row["PATIENT"]), "ENCOUNTER": encounter_key(row["ENCOUNTER"])}
    return made
