"""Invented patients who carry the planted events, so that no one else's history is touched."""

from .files import Json
from .north import FIRST_EXPORT_AT

ADA = "0a000000-0000-4000-8000-00000000000a"  # most planted events of north
OTTO = "0a000000-0000-4000-8000-00000000000b"  # dead
ROBIN = "0a000000-0000-4000-8000-00000000000c"  # of no known gender
EDITH = "0a000000-0000-4000-8000-00000000000d"  # older than 90
ENCOUNTER = "0e000000-0000-4000-8000-00000000000a"  # Ada's only one
VISITED_AT = "2024-03-05T09:00:00+00:00"


def patient(key: str, family: str, given: str, gender: str, birth_date: str, number: int) -> Json:
    """A FHIR Patient with everything that identifies somebody."""
    system = "http://terminology.hl7.org/CodeSystem/v2-0203"
    return {
        "resourceType": "Patient",
        "id": key,
        "meta": {"versionId": "1", "lastUpdated": FIRST_EXPORT_AT},
        "identifier": [
            {
                "type": {"coding": [{"system": system, "code": "MR"}]},
                "system": "http://hospital.smarthealthit.org",
                "value": f"N99000{number:02d}",
            },
            {"system": "http://hl7.org/fhir/sid/us-ssn", "value": f"999-00-{number:04d}"},
        ],
        "name": [{"use": "official", "family": family, "given": [given]}],
        "telecom": [{"system": "phone", "value": f"555-010-{number:04d}", "use": "home"}],
        "gender": gender,
        "birthDate": birth_date,
        "address": [
            {
                "line": [f"{number} Plantation Row"],
                "city": "Concord",
                "state": "MA",
                "postalCode": "01742",
                "country": "US",
            }
        ],
    }


def patients() -> list[Json]:
    """The strangers of north."""
    return [
        patient(ADA, "Quillfeather", "Ada", "female", "1971-04-09", 1),
        patient(OTTO, "Marshwiggle", "Otto", "male", "1940-02-02", 2)
        | {"deceasedDateTime": "2019-05-05T10:00:00+00:00"},
        patient(ROBIN, "Valekeeper", "Robin", "unknown", "1988-12-12", 3),
        patient(EDITH, "Holmstrand", "Edith", "female", "1931-03-03", 4),
    ]


def encounter() -> Json:
    """Ada's visit, to which her planted events belong."""
    return {
        "resourceType": "Encounter",
        "id": ENCOUNTER,
        "meta": {"versionId": "1", "lastUpdated": FIRST_EXPORT_AT},
        "status": "finished",
        "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "AMB"},
        "type": [
            {"coding": [{"system": "http://snomed.info/sct", "code": "185349003", "display": "Check up"}]}
        ],
        "subject": {"reference": f"Patient/{ADA}"},
        "period": {"start": VISITED_AT, "end": "2024-03-05T09:30:00+00:00"},
    }


def observation(name: str, code: str, value: object, unit: str, /, **changes: object) -> Json:
    """A laboratory Observation of Ada; `changes` replace or, when None, remove elements."""
    made: Json = {
        "resourceType": "Observation",
        "id": f"plant-{name.lower()}",
        "meta": {"versionId": "1", "lastUpdated": FIRST_EXPORT_AT},
        "status": "final",
        "category": [
            {
                "coding": [
                    {
                        "system": "http://terminology.hl7.org/CodeSystem/observation-category",
                        "code": "laboratory",
                        "display": "Laboratory",
                    }
                ]
            }
        ],
        "code": {
            "coding": [{"system": "http://loinc.org", "code": code, "display": f"Planted result {name}"}]
        },
        "subject": {"reference": f"Patient/{ADA}"},
        "encounter": {"reference": f"Encounter/{ENCOUNTER}"},
        "effectiveDateTime": VISITED_AT,
        "valueQuantity": {"value": value, "unit": unit, "system": "http://unitsofmeasure.org", "code": unit},
    }
    return {element: content for element, content in (made | changes).items() if content is not None}


def condition(name: str, onset: str, /, **changes: object) -> Json:
    """A Condition of Ada with the code PLANT-<name>."""
    made: Json = {
        "resourceType": "Condition",
        "id": f"plant-{name.lower()}",
        "meta": {"versionId": "1", "lastUpdated": FIRST_EXPORT_AT},
        "code": {
            "coding": [
                {
                    "system": "http://snomed.info/sct",
                    "code": f"PLANT-{name}",
                    "display": f"Planted condition {name}",
                }
            ]
        },
        "subject": {"reference": f"Patient/{ADA}"},
        "encounter": {"reference": f"Encounter/{ENCOUNTER}"},
        "onsetDateTime": onset,
    }
    return {element: content for element, content in (made | changes).items() if content is not None}
