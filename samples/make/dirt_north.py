"""Faults planted in north's NDJSON; faults.toml tells what each is and what must become of it."""

import json

from . import strangers
from .files import as_line, number_of
from .places import SEED
from .planted import Planted
from .strangers import ADA, EDITH, OTTO, ROBIN, condition, observation

Lines = dict[str, list[bytes]]
CONDITIONS, OBSERVATIONS = "Condition.ndjson", "Observation.001.ndjson.gz"
CUT_FILE = "Immunization.ndjson"  # its last line ends in the middle
NOBODY = "00000000-dead-4bad-8bad-000000000000"
OLDER = {"versionId": "1", "lastUpdated": "2026-06-01T08:00:00.000+00:00"}
NEWER = {"versionId": "2", "lastUpdated": "2026-06-29T08:00:00.000+00:00"}


def plant(files: Lines, planted: Planted) -> None:
    """Put every fault into `files` and note it; the strangers who carry them come first."""
    files["Patient.ndjson"] += [as_line(row) for row in strangers.patients()]
    files["Encounter.ndjson.gz"].append(as_line(strangers.encounter()))
    for name, line in _conditions().items():
        insert(files, CONDITIONS, name, line)
        person = {"N18": ADA, "N19": ADA, "N20": OTTO, "N21": ADA}.get(name, "")
        planted.add(name, f"north/Condition/{CONDITIONS}", person=person)
    for name, line in _observations().items():
        insert(files, OBSERVATIONS, name, line)
        person = ADA if name >= "N22" else ""
        planted.add(name, f"north/Observation/{OBSERVATIONS}", person=person)
    _versions(files, planted)
    _whole_files(files, planted)
    planted.add("N32", "north/Patient/Patient.ndjson", person=ROBIN)
    planted.add("N33", "north/Patient/Patient.ndjson", person=EDITH)


def insert(files: Lines, file: str, name: str, line: bytes) -> None:
    """Put a line somewhere in the middle of a file, always in the same place."""
    lines = files[file]
    lines.insert(1 + number_of(SEED, "insert", file, name) % len(lines), line)


def _conditions() -> dict[str, bytes]:
    whole = {name: as_line(condition(name, "2024-03-05")) for name in ("N02", "N03", "N04", "N05", "N06")}
    dead = {"subject": {"reference": f"Patient/{OTTO}"}, "encounter": None}
    lost_visit = {"encounter": {"reference": "Encounter/00000000-dead-4bad-8bad-00000000000e"}}
    doubtful = {
        "N14": condition("N14", "2020-02-30"),
        "N15": condition("N15", "yesterday"),
        "N16": condition("N16", "2099-01-01"),
        "N17": condition("N17", "1850-06-01"),
        "N18": condition("N18", "2024-03-05", abatementDateTime="2023-01-01"),
        "N19": condition("N19", "1965-07-01", encounter=None),
        "N20": condition("N20", "2021-05-05", **dead),
        "N21": condition("N21", "2024-03-05", **lost_visit),
    }
    return {
        "N02": whole["N02"].replace(b"Planted cond", b"Sj\xf6gren cond"),
        "N03": whole["N03"].replace(b"Planted cond", b"Planted\x00cond"),
        "N04": whole["N04"] + whole["N04"].replace(b"n04", b"n04-second"),
        "N05": whole["N05"][:-1] + b',"onsetDateTime":"2011-01-01"}',
        "N06": b"[" + whole["N06"] + b"]",
    } | {name: as_line(resource) for name, resource in doubtful.items()}


def _observations() -> dict[str, bytes]:
    number = {name: as_line(observation(name, f"PLANT-{name}", 0.5, "mg/dL")) for name in ("N07", "N08")}
    per_area = "mL/min/{1.73_m2}"
    above = {
        "value": 90,
        "comparator": ">",
        "unit": per_area,
        "system": "http://unitsofmeasure.org",
        "code": per_area,
    }
    absent = {"text": "unknown"}
    resources = {
        "N09": observation("N09", "PLANT-N09", 1, "mg/dL", id=None),
        "N10": observation("N10", "PLANT-N10", 1, "mg/dL", resourceType=None),
        "N11": observation("N11", "", 1, "mg/dL", code=None),
        "N12": observation("N12", "PLANT-N12", 1, "mg/dL", subject=None),
        "N13": observation("N13", "PLANT-N13", 1, "mg/dL", subject={"reference": f"Patient/{NOBODY}"}),
        "N22": observation("N22", "29463-7", 154.3, "[lb_av]"),
        "N23": observation("N23", "2339-0", 5.4, "mmol/L"),
        "N24": observation("N24", "8302-2", 0.008, "furlong"),
        "N25": observation("N25", "8867-4", 4000, "/min"),
        "N26": observation("N26", "PLANT-N26", "seventy", "mg/dL"),
        "N27": observation("N27", "PLANT-N27", 0, "mg/dL", valueQuantity=None, dataAbsentReason=absent),
        "N28": observation("N28", "PLANT-N28", 0, "", valueQuantity=above),
        "N37": observation("N37", "PLANT-N37", 7, "mg/dL", status="entered-in-error"),
    }
    return {
        "N07": number["N07"].replace(b'"value":0.5', b'"value":NaN'),
        "N08": number["N08"].replace(b'"value":0.5', b'"value":1e400'),
    } | {name: as_line(resource) for name, resource in resources.items()}


def _versions(files: Lines, planted: Planted) -> None:
    twice = as_line(observation("N29", "PLANT-N29", 7, "mg/dL"))
    newer = as_line(observation("N30", "PLANT-N30-NEW", 7, "mg/dL", meta=NEWER))
    older = as_line(observation("N30", "PLANT-N31-OLD", 7, "mg/dL", meta=OLDER))
    files[OBSERVATIONS] += [twice, twice, newer, older]
    for name in ("N29", "N30", "N31"):
        planted.add(name, f"north/Observation/{OBSERVATIONS}", person=ADA)


def _whole_files(files: Lines, planted: Planted) -> None:
    cut = as_line(observation("N01", "PLANT-N01", 1, "mg/dL"))
    files[CUT_FILE].append(cut[: len(cut) // 2])
    planted.add("N01", f"north/Immunization/{CUT_FILE}")
    files["Flag.ndjson"] = []
    planted.add("N34", "north/Flag/Flag.ndjson")
    files["CarePlan.ndjson.gz.raw"] = [b"<html><body>502 Bad Gateway</body></html>"]
    planted.add("N35", "north/CarePlan/CarePlan.ndjson.gz")
    from_windows = json.dumps(observation("N36", "PLANT-N36", 7, "mg/dL")).encode()
    files["Observation.900.ndjson"] = [b"\xef\xbb\xbf" + from_windows + b"\r"]
    planted.add("N36", "north/Observation/Observation.900.ndjson", person=ADA)
