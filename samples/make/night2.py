"""The second night: four new patients, corrections, deletions, and objects that come again."""

import io

from pydicom import dcmread

from . import strangers
from .dirt_north import NEWER, Lines
from .dirt_north import OLDER as OLD
from .dirt_pacs import first_instance
from .dirt_south import DAY, TABITHA, event, patient_line
from .dirt_south import patient as south_patient
from .files import Json, as_line, csv_line
from .pacs import Made, Objects, as_bytes
from .planted import Planted
from .south import COLUMNS
from .strangers import ADA, observation

EXPORTED_AT = "2026-07-01T22:00:00.000+00:00"
STAMP = "20260701"
DREW = "0a000000-0000-4000-8000-00000000000e"  # deleted on the second night
DELETED_IN_SOUTH = "S900003"
NEWEST = {"versionId": "3", "lastUpdated": EXPORTED_AT}


def prepare_north(files: Lines) -> None:
    """What the first night must hold so that the second one can change it."""
    drew = strangers.patient(DREW, "Dunwhistle", "Drew", "male", "1979-10-10", 5)
    files["Patient.ndjson"].append(as_line(drew))
    subject = {"subject": {"reference": f"Patient/{DREW}"}, "encounter": None}
    files["Observation.000.ndjson.gz"] += [
        as_line(observation("C02", "PLANT-C02-OLD", 1, "mg/dL", meta=OLD)),
        as_line(observation("C04", "PLANT-C04-KEPT", 1, "mg/dL", meta=NEWER)),
        as_line(observation("C06", "PLANT-C06", 1, "mg/dL")),
        as_line(observation("C07", "PLANT-C07", 1, "mg/dL", **subject)),
    ]


def prepare_south(files: Lines) -> None:
    """The same for south."""
    row = south_patient(DELETED_IN_SOUTH, "Dunwhistler", "Delia", "F", 3)
    files["patients.csv"].append(patient_line(row))
    files["observations.csv"] += [
        event("observations", ID="R99C09", CODE="PLANT-C09-OLD", VALUE="1", UNITS="mg/dL"),
        event("observations", ID="R99C11", CODE="PLANT-C11", VALUE="1", UNITS="mg/dL"),
    ]


def north(made: dict[str, list[Json]], planted: Planted) -> Lines:
    """north's second export: everything of the new patients, and what has changed."""
    files: Lines = {}
    for kind, rows in made.items():
        newly = [row | {"meta": {"versionId": "1", "lastUpdated": EXPORTED_AT}} for row in rows]
        files[f"{kind}.{STAMP}.ndjson"] = [as_line(row) for row in newly]
    robin = next(row for row in strangers.patients() if row["id"] == strangers.ROBIN)
    robin = robin | {"meta": NEWEST, "gender": "female"}
    robin["name"] = [{"use": "official", "family": "Valekeeper-Stone", "given": ["Robin"]}]
    files[f"Patient.{STAMP}.ndjson"].append(as_line(robin))
    files[f"Observation.{STAMP}.ndjson"] += [
        as_line(observation("C02", "PLANT-C02-NEW", 2, "mg/dL", meta=NEWEST)),
        as_line(observation("C04", "PLANT-C04-STALE", 2, "mg/dL", meta=OLD)),
    ]
    requests = [f"Observation/plant-{name}" for name in ("c06",)] + [f"Patient/{DREW}"]
    entries = [{"request": {"method": "DELETE", "url": url}} for url in requests]
    bundle: Json = {
        "resourceType": "Bundle",
        "id": f"deleted-{STAMP}",
        "type": "transaction",
        "entry": entries,
    }
    files[f"deleted/Bundle.{STAMP}.ndjson"] = [as_line(bundle)]
    tables = {"Patient": ["C01"], "Observation": ["C02", "C03", "C04", "C05"]}
    where = {name: f"north/{kind}/{kind}.{STAMP}.ndjson" for kind, names in tables.items() for name in names}
    where |= dict.fromkeys(["C06", "C07", "C08"], f"north/Bundle/deleted/Bundle.{STAMP}.ndjson")
    whose = {"C01": strangers.ROBIN, "C07": DREW, "C08": DREW}
    for name in where:
        planted.add(name, where[name], person=whose.get(name, ADA), night=2)
    return files


def south(planted: Planted) -> Lines:
    """south's second delivery: one changed row, one new one, two deletions."""
    results, deleted = f"observations_{STAMP}.csv", f"deleted_observations_{STAMP}.csv"
    people = f"deleted_patients_{STAMP}.csv"
    for name, file in (
        ("C09", results),
        ("C10", results),
        ("C11", deleted),
        ("C12", people),
        ("C13", results),
    ):
        source_table = file.removeprefix("deleted_").split("_")[0]
        person = DELETED_IN_SOUTH if name == "C12" else TABITHA
        planted.add(name, f"south/{source_table}/{file}", person=person, night=2)
    return {
        results: [
            csv_line(COLUMNS["observations"]).encode(),
            event("observations", ID="R99C09", CODE="PLANT-C09-NEW", VALUE="2", UNITS="mg/dL"),
            event(
                "observations",
                ID="R99C13",
                CODE="PLANT-C13",
                VALUE="1",
                UNITS="mg/dL",
                DATE=f"{DAY}T12:00:00Z",
            ),
        ],
        deleted: [b"ID", b"R99C11"],
        people: [b"ID", DELETED_IN_SOUTH.encode()],
    }


def pacs(first: list[Made], planted: Planted) -> Objects:
    """Objects that come again: the same, the same elsewhere, and one corrected."""
    by_name = {made.plan.name: made for made in first}
    resent, moved, corrected = by_name["us_heart_rgb"], by_name["nm_bone"], by_name["cr_spine"]
    same_file, same = next(iter(resent.objects.items()))
    corrected_file, before = next(iter(corrected.objects.items()))
    dataset = dcmread(io.BytesIO(before))
    dataset.SeriesDescription = "lateral, corrected: the right side was marked as the left"
    dataset.ImageLaterality = "R"
    objects = {
        same_file: same,
        "archive/2026/bone.dcm": next(iter(moved.objects.values())),
        corrected_file.replace(".dcm", "_corrected.dcm"): as_bytes(dataset),
    }
    for name, made, file in zip(("C14", "C15", "C16"), (resent, moved, corrected), objects, strict=True):
        where = f"pacs/objects/{file}"
        planted.add(name, where, person=made.patient["id"], needle=first_instance(made), night=2)
    return objects
