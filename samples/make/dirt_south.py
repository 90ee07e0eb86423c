"""Faults planted in south's CSV tables; faults.toml tells what each is and what must become of it."""

from .dirt_north import Lines, insert
from .files import csv_line
from .planted import Planted
from .south import COLUMNS
from .south_people import COLUMNS as PATIENT_COLUMNS

TABITHA = "S900001"  # carries the planted events; her gender is padded with a tab
QUENTIN = "S900002"  # his gender is a question mark
VISIT = "E990000001"
DAY = "2025-02-11"
NOW = f"{DAY}T10:00:00Z"
SET_ASIDE = {*(f"S{number:02d}" for number in range(3, 14)), "S24"}


def patient(key: str, last: str, first: str, gender: str, number: int) -> dict[str, str]:
    """A row of patients.csv with what identifies somebody."""
    return dict.fromkeys(PATIENT_COLUMNS, "") | {
        "ID": key,
        "BIRTHDATE": f"0{number}/14/1969",
        "SSN": f"999-02-{number:04d}",
        "FIRST": first,
        "LAST": last,
        "GENDER": gender,
        "RACE": "white",
        "ETHNICITY": "nonhispanic",
        "ADDRESS": f"{number} Orchard Crescent",
        "CITY": "Gardner",
        "STATE": "Massachusetts",
        "ZIP": "01440",
        "PHONE": f"555-012-{number:04d}",
    }


def event(table: str, **values: str) -> bytes:
    """A line of an event table about Tabitha's visit."""
    row = {"PATIENT": TABITHA, "ENCOUNTER": VISIT, "START": DAY, "DATE": NOW, "CATEGORY": "laboratory"}
    row |= {"TYPE": "numeric"} | values
    return csv_line([row.get(column, "") for column in COLUMNS[table]]).encode()


def patient_line(row: dict[str, str]) -> bytes:
    """A line of patients.csv."""
    return csv_line([row[column] for column in PATIENT_COLUMNS], ";").encode("latin-1")


def plant(files: Lines, planted: Planted) -> None:
    """Put every fault into `files` and note it; the patients who carry them come first."""
    tabitha = patient(TABITHA, "Tabberwock", "Tabitha", " F\t", 1)
    quentin = patient(QUENTIN, "Quibbleton", "Quentin", "?", 2)
    files["patients.csv"] += [patient_line(tabitha), patient_line(quentin)]
    planted.add("S01", "south/patients/patients.csv", person=TABITHA)
    planted.add("S02", "south/patients/patients.csv", person=QUENTIN)
    files["encounters.csv"].append(event("encounters", ID=VISIT, START=NOW, STOP=f"{DAY}T10:30:00Z"))
    lines = _records(files["procedures.csv"][0]) | _events() | _results()
    for (name, table), line in lines.items():
        insert(files, f"{table}.csv", name, line)
        planted.add(name, f"south/{table}/{table}.csv", person="" if name in SET_ASIDE else TABITHA)
    _at_the_end(files, planted)
    _whole_files(files, planted)


def _records(header: bytes) -> dict[tuple[str, str], bytes]:
    latin = event("conditions", CODE="PLANT-S07", DESCRIPTION="Sjögren syndrome")
    return {
        ("S03", "patients"): patient_line(patient("", "Nokeyman", "Norma", "F", 9)),
        ("S04", "conditions"): event("conditions", CODE="PLANT-S04").rsplit(b",", 1)[0],
        ("S05", "medications"): event("medications", CODE="PLANT-S05") + b",,,7",
        ("S06", "procedures"): header,
        ("S07", "conditions"): latin.decode().encode("latin-1"),
        ("S08", "conditions"): event("conditions", CODE="PLANT-S08", DESCRIPTION="Broken\0text"),
    }


def _events() -> dict[tuple[str, str], bytes]:
    drug = {"START": NOW, "DISPENSES": "1"}
    return {
        ("S10", "conditions"): event("conditions", CODE="PLANT-S10", PATIENT="S000000"),
        ("S11", "conditions"): event("conditions", DESCRIPTION="PLANT-S11"),
        ("S12", "conditions"): event("conditions", CODE="PLANT-S12", START=""),
        ("S13", "conditions"): event("conditions", CODE="PLANT-S13", START="2023-02-29"),
        ("S14", "conditions"): event("conditions", CODE="PLANT-S14", ENCOUNTER="E000000000"),
        ("S15", "medications"): event("medications", CODE="PLANT-S15", STOP="2024-02-11T10:00:00Z", **drug),
        ("S16", "medications"): event("medications", CODE="PLANT-S16", STOP="ongoing", **drug),
    }


def _results() -> dict[tuple[str, str], bytes]:
    results = [
        ("S18", "PLANT-S18", ">90", "mL/min"),
        ("S19", "PLANT-S19", "neg", ""),
        ("S20", "PLANT-S20", "NULL", "mg/dL"),
        ("S21", "8302-2", "0.0085", "furlong"),
        ("S22", "8310-5", "98.6", "[degF]"),
        ("S23", "29463-7", "7200", "kg"),
    ]
    made = {
        (name, "observations"): event("observations", ID=f"R99{name}", CODE=code, VALUE=value, UNITS=unit)
        for name, code, value, unit in results
    }
    impossible = event("observations", ID="R99S24", CODE="PLANT-S24", VALUE="5", DATE="2020-13-45T10:00:00Z")
    return made | {("S24", "observations"): impossible}


def _at_the_end(files: Lines, planted: Planted) -> None:
    cut = event("procedures", CODE="PLANT-S09", DESCRIPTION="", REASONDESCRIPTION="")
    files["procedures.csv"].append(cut + b'"broken off')
    planted.add("S09", "south/procedures/procedures.csv")
    twice = event("conditions", CODE="PLANT-S17", DESCRIPTION="Planted condition")
    files["conditions.csv"] += [twice, twice]
    planted.add("S17", "south/conditions/conditions.csv", person=TABITHA)
    for name, code in (("S25", "PLANT-S25-OLD"), ("S26", "PLANT-S26-NEW")):
        files["observations.csv"].append(
            event("observations", ID="R99S25", CODE=code, VALUE="5", UNITS="mg/dL")
        )
        planted.add(name, "south/observations/observations.csv", person=TABITHA)


def _whole_files(files: Lines, planted: Planted) -> None:
    files["medications_2019.csv"] = []
    planted.add("S27", "south/medications/medications_2019.csv")
    columns = COLUMNS["observations"][::-1]
    row = {"PATIENT": TABITHA, "ENCOUNTER": VISIT, "DATE": NOW, "CATEGORY": "laboratory", "TYPE": "numeric"}
    row |= {"VALUE": "5", "UNITS": "mg/dL"}
    reversed_columns = row | {
        "ID": "R99S28",
        "CODE": "PLANT-S28",
        "DESCRIPTION": "Columns the other way round",
    }
    two_lines = row | {"ID": "R99S29", "CODE": "PLANT-S29", "DESCRIPTION": "Two\nlines"}
    lines = [columns, *([each[column] for column in columns] for each in (reversed_columns, two_lines))]
    files["observations_late.csv"] = [csv_line(values).encode() for values in lines]
    for name in ("S28", "S29"):
        planted.add(name, "south/observations/observations_late.csv", person=TABITHA)
