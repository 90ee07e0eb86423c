"""Pairs that look like one person and are two: a linkage that joins them is wrong."""

from .files import Json, csv_line
from .people import World
from .south_people import COLUMNS, Row


def rows(world: World) -> list[tuple[str, Row, str]]:
    """For each near miss: north's person, south's row of somebody else, and why they are two people."""
    alone = [key for key in world.north_first if key not in world.in_both]
    first, second, third = (world.patients[key] for key in alone[:3])
    twin = _row(
        first, "S950001", {"FIRST": _other_initial(first), "SSN": "999-01-0001", "PHONE": "555-011-0001"}
    )
    father_born = str(int(second["birthDate"][:4]) - 28) + second["birthDate"][4:]
    father = _row(
        second, "S950002", {"BIRTHDATE": _us(father_born), "SSN": "999-01-0002", "PHONE": "555-011-0002"}
    )
    stranger = _row(
        third, "S950003", {"FIRST": "Wilhelmina", "LAST": "Oberlander", "BIRTHDATE": "11/23/1958"}
    )
    stranger |= {"ADDRESS": "4 Mill Lane", "CITY": "Keene", "ZIP": "03431", "PHONE": "555-011-0003"}
    return [
        (first["id"], twin, "twins: same family name, birth date, sex and home"),
        (second["id"], father, "same name and home, born 28 years earlier"),
        (third["id"], stranger, "somebody else's national id was typed"),
    ]


def lines(world: World) -> list[str]:
    """The list of near misses for tests."""
    header = ["north_person_source_value", "south_person_source_value", "why"]
    return [
        csv_line(values) for values in [header, *([key, row["ID"], why] for key, row, why in rows(world))]
    ]


def _row(patient: Json, key: str, changes: Row) -> Row:
    name = next(row for row in patient["name"] if row["use"] == "official")
    address = patient["address"][0]
    numbers = {row["system"]: row["value"] for row in patient["identifier"]}
    made = dict.fromkeys(COLUMNS, "") | {
        "ID": key,
        "BIRTHDATE": _us(patient["birthDate"]),
        "SSN": numbers["http://hl7.org/fhir/sid/us-ssn"],
        "FIRST": name["given"][0],
        "LAST": name["family"],
        "GENDER": patient["gender"][0].upper(),
        "ADDRESS": address["line"][0],
        "CITY": address["city"],
        "STATE": "Massachusetts",
        "ZIP": address.get("postalCode", ""),
    }
    return made | changes


def _us(birth_date: str) -> str:
    year, month, day = birth_date.split("-")
    return f"{month}/{day}/{year}"


def _other_initial(patient: Json) -> str:
    given = patient["name"][0]["given"][0]
    return "Morgan" if not given.startswith("M") else "Avery"
