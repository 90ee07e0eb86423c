"""south's patients: people of its own, and people of north as another registration desk wrote them down."""

from collections.abc import Callable

from .files import Json, number_of
from .identity import letters
from .people import World
from .places import SEED

Row = dict[str, str]
COLUMNS = [
    "ID",
    "BIRTHDATE",
    "DEATHDATE",
    "SSN",
    "DRIVERS",
    "PASSPORT",
    "PREFIX",
    "FIRST",
    "MIDDLE",
    "LAST",
    "MAIDEN",
    "MARITAL",
    "RACE",
    "ETHNICITY",
    "GENDER",
    "ADDRESS",
    "CITY",
    "STATE",
    "ZIP",
    "PHONE",
]


def key_of(world: World, patient: str) -> str:
    """south's own number of a patient, given in an order that has nothing to do with north's ids."""
    everyone = sorted(world.in_both + world.south_only, key=lambda key: number_of(SEED, "south", key))
    return f"S{100001 + 37 * everyone.index(patient)}"


def patients(world: World) -> tuple[dict[str, Row], dict[str, str]]:
    """south's row of each patient, and the way in which each row of a shared patient differs from north's."""
    by_id = {row["Id"]: row for row in world.csv_rows["patients"]}
    rows = {key: _row(world, by_id[key]) for key in sorted(world.in_both + world.south_only)}
    variants: dict[str, str] = {}
    for name, wanted, suits, change in VARIANTS:
        free = [key for key in world.in_both if key not in variants and suits(rows[key])]
        for key in free[:wanted]:
            change(rows[key])
            variants[key] = name
    if len(variants) != len(world.in_both):
        raise ValueError(
            f"{len(world.in_both) - len(variants)} shared patients have no variant: adapt VARIANTS"
        )
    return rows, variants


def _row(world: World, row: Row) -> Row:
    patient: Json = world.patients[row["Id"]]
    year, month, day = row["BIRTHDATE"].split("-")
    made = {column: row.get(column, "") for column in COLUMNS}
    made |= {
        "ID": key_of(world, row["Id"]),
        "BIRTHDATE": f"{month}/{day}/{year}",
        "ZIP": patient["address"][0].get("postalCode", ""),
        "PHONE": patient["telecom"][0]["value"],
    }
    return made


def _without_number(row: Row) -> None:
    row["SSN"] = ""


def _swap_day_and_month(row: Row) -> None:
    month, day, year = row["BIRTHDATE"].split("/")
    row["BIRTHDATE"] = f"{day}/{month}/{year}"


def _can_swap(row: Row) -> bool:
    month, day, _ = row["BIRTHDATE"].split("/")
    return int(day) <= 12 and day != month


def _lose_digits(row: Row) -> None:
    row["BIRTHDATE"] = f"{row['BIRTHDATE'][:2]}/__/{row['BIRTHDATE'][-4:]}"


def _double_letter(row: Row) -> None:
    """A typing slip that leaves the sound: the second letter twice."""
    row["LAST"] = row["LAST"][:2] + row["LAST"][1:]


def _unheard_slip(row: Row) -> None:
    _double_letter(row)
    _without_number(row)
    row["PHONE"] = ""


def _lose_last_letter(row: Row) -> None:
    row["LAST"] = row["LAST"][:-1]


def _maiden_name(row: Row) -> None:
    row["LAST"], row["MAIDEN"] = row["MAIDEN"], ""


def _moved(row: Row) -> None:
    _without_number(row)
    number = number_of(SEED, "moved", row["ID"])
    row |= {"ADDRESS": f"{number % 900 + 12} Harbor View Road", "CITY": "Providence", "STATE": "Rhode Island"}
    row |= {
        "ZIP": f"029{number % 10 + 3:02d}",
        "PHONE": f"555-{number % 900 + 100}-{number // 900 % 9000 + 1000}",
    }


def _missing_phone(row: Row) -> None:
    _without_number(row)
    row["PHONE"] = ""


def _short_given_name(row: Row) -> None:
    """The given name cut to three letters, another town, the same telephone."""
    _without_number(row)
    row |= {
        "FIRST": row["FIRST"][:3],
        "MIDDLE": "",
        "CITY": "Hartford",
        "STATE": "Connecticut",
        "ZIP": "06103",
    }


def _lose_accents(row: Row) -> None:
    _without_number(row)
    row["PHONE"] = ""
    for column in ("FIRST", "LAST"):
        row[column] = letters(row[column]).capitalize()


def _capitals(row: Row) -> None:
    for column in ("FIRST", "MIDDLE", "LAST", "CITY", "ADDRESS"):
        row[column] = row[column].upper()


def _has_accent(row: Row) -> bool:
    return not (row["FIRST"] + row["LAST"]).isascii()


def _anybody(row: Row) -> bool:
    return True


# name, how many, whom it suits, what is done; the first that suits wins, so rare ones come first
VARIANTS: list[tuple[str, int, Callable[[Row], bool], Callable[[Row], None]]] = [
    ("accents lost", 2, _has_accent, _lose_accents),
    ("maiden name", 3, lambda row: bool(row["MAIDEN"]), _maiden_name),
    ("day and month swapped", 3, _can_swap, _swap_day_and_month),
    ("short given name", 2, lambda row: len(row["FIRST"]) > 4, _short_given_name),
    ("birth date without day", 2, _anybody, _lose_digits),
    ("slip in family name", 3, _anybody, _lose_last_letter),
    ("slip in family name, no number", 3, _anybody, _unheard_slip),
    ("moved, no number", 3, _anybody, _moved),
    ("no number, no phone", 3, _anybody, _missing_phone),
    ("capitals", 3, _anybody, _capitals),
    ("same", 30, _anybody, lambda row: None),
]
