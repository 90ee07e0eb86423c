"""The rules by which two records are one person: the samples' truth, independent of the engine's own code."""

import unicodedata
from dataclasses import dataclass
from itertools import product

from .files import Json


@dataclass(frozen=True)
class Identity:
    """What a source says about who somebody is; an unknown item is an empty text."""

    key: str
    national_id: str
    birth_date: str  # ISO
    family: str
    given: str  # all given names
    sex: str  # m, f or empty
    zip_code: str
    phone: str


def of_fhir(patient: Json) -> Identity:
    """The identity in a FHIR Patient."""
    numbers = {row["system"]: row["value"] for row in patient["identifier"]}
    name = next(row for row in patient["name"] if row["use"] == "official")
    return Identity(
        key=str(patient["id"]),
        national_id=numbers.get("http://hl7.org/fhir/sid/us-ssn", ""),
        birth_date=patient["birthDate"],
        family=name["family"],
        given=" ".join(name["given"]),
        sex=patient["gender"][0],
        zip_code=patient["address"][0].get("postalCode", ""),
        phone=patient["telecom"][0]["value"],
    )


def of_south(row: dict[str, str]) -> Identity:
    """The identity in a row of south's patients.csv; a birth date that is none counts as unknown."""
    parts = row["BIRTHDATE"].split("/")
    is_date = len(parts) == 3 and all(part.isdigit() for part in parts)
    return Identity(
        key=row["ID"],
        national_id=row["SSN"].replace("?", ""),
        birth_date=f"{parts[2]}-{parts[0]}-{parts[1]}" if is_date else "",
        family=row["LAST"],
        given=f"{row['FIRST']} {row['MIDDLE']}",
        sex=row["GENDER"].strip().lower()[:1],
        zip_code=row["ZIP"],
        phone=row["PHONE"],
    )


def letters(name: str) -> str:
    """A name in lower case without accents, spaces, hyphens and apostrophes."""
    plain = unicodedata.normalize("NFKD", name)
    return "".join(letter for letter in plain.lower() if "a" <= letter <= "z")


def soundex(name: str) -> str:
    """American Soundex of the letters of a name (US National Archives: H and W do not part equal codes)."""
    codes = {
        letter: str(code)
        for code, group in enumerate(["bfpv", "cgjkqsxz", "dt", "l", "mn", "r"], 1)
        for letter in group
    }
    word = letters(name)
    if not word:
        return ""
    made, last = word[0].upper(), codes.get(word[0], "")
    for letter in word[1:]:
        code = codes.get(letter, "")
        if code and code != last:
            made += code
        if letter not in "hw":
            last = code
    return made[:4].ljust(4, "0")


def rules_met(one: Identity, other: Identity) -> list[str]:
    """The rules that say that two records are the same person; empty when none does."""
    same_birth = bool(one.birth_date) and one.birth_date == other.birth_date
    same_family = bool(letters(one.family)) and letters(one.family) == letters(other.family)
    same_given = bool(letters(one.given)) and letters(one.given) == letters(other.given)
    same_id = bool(one.national_id) and one.national_id == other.national_id
    same_place = bool(one.zip_code) and one.zip_code[:3] == other.zip_code[:3]
    same_phone = bool(one.phone) and one.phone == other.phone
    alike = (
        soundex(one.family) == soundex(other.family) and letters(one.given)[:1] == letters(other.given)[:1]
    )
    met = {
        "national_id": same_id and (same_birth or same_family),
        "name_and_birth": same_family and same_given and same_birth,
        "sound_and_birth": same_birth
        and bool(one.sex)
        and one.sex == other.sex
        and alike
        and (same_place or same_phone),
    }
    return [rule for rule, holds in met.items() if holds]


def linked(left: list[Identity], right: list[Identity]) -> dict[tuple[str, str], list[str]]:
    """All pairs of keys that at least one rule links, with the rules."""
    pairs = {
        (one.key, other.key): rules_met(one, other) for one, other in product(left, right) if one != other
    }
    return {pair: rules for pair, rules in pairs.items() if rules}
