"""Sentinels: identifiers that exist nowhere else, of HIPAA's 18 classes, planted into landing files of four formats.

Each stands in a text that the open zone keeps without its identifiers, and in whatever place its format has for its kind.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import pydicom
from pydicom.data import get_testdata_file

FORMATS = ("csv", "fhir", "dicom", "notes")
SAID: dict[str, str] = {  # 45 CFR 164.514(b)(2)(i) A to R, and how a text speaks of each
    "name": "{} was seen in clinic.",
    "place": "Lives at {} since spring.",
    "date": "Symptoms began at {} and went on.",
    "phone": "Phone {} after noon.",
    "fax": "Fax: {} for results.",
    "email": "Write to {} please.",
    "ssn": "SSN {} on file.",
    "mrn": "MRN: {} in our system.",
    "health_plan": "Health plan number {} was checked.",
    "account": "Account number: {} is billed.",
    "licence": "Licence {} was shown.",
    "vehicle": "Vehicle VIN {} in the accident.",
    "device": "Pacemaker serial no. {} works.",
    "url": "See {} for more.",
    "ip": "Portal login from IP {} seen.",
    "biometric": "Fingerprint template {} enrolled.",
    "photo": "Photo file {} was taken.",
    "other": "Study code: {} of the trial.",
}
LETTERS, CAPITALS, DIGITS, HEX = "abcdefghijklmnopqrstuvwxyz", "ABCDEFGHJKLMNPRSTUVWXYZ", "0123456789", "0123456789abcdef"


@dataclass(frozen=True)
class Sentinel:
    """One identifier of one made-up person in one format."""

    kind: str
    form: str
    person: int
    text: str

    @property
    def sentence(self) -> str:
        return SAID[self.kind].format(self.text)


def sentinels(n: int, *, seed: int = 5) -> list[Sentinel]:
    """One of each class for n persons of each format; no text stands in another one."""
    made = [
        Sentinel(kind, form, i, _made(kind, random.Random(sha256(f"{seed}/{kind}/{form}/{i}".encode()).hexdigest())))
        for form in FORMATS
        for i in range(n)
        for kind in SAID
    ]
    assert len({s.text for s in made}) == len(made)
    return made


def _made(kind: str, draw: random.Random) -> str:
    def some(alphabet: str, n: int) -> str:
        return "".join(draw.choice(alphabet) for _ in range(n))

    word = some(LETTERS, 9)
    shapes: dict[str, Callable[[], str]] = {
        "name": lambda: f"Zq{word}",
        "place": lambda: f"{draw.randrange(1000, 9999)} Xj{word} Street",
        "date": lambda: f"{draw.randrange(1990, 2024)}-{draw.randrange(1, 13):02}-{draw.randrange(1, 29):02} {draw.randrange(24):02}:{draw.randrange(60):02}:{draw.randrange(60):02}",
        "phone": lambda: f"555-{some(DIGITS, 3)}-{some(DIGITS, 4)}",
        "fax": lambda: f"(556) {some(DIGITS, 3)}-{some(DIGITS, 4)}",
        "email": lambda: f"{word}@clinic.example.org",
        "ssn": lambda: f"9{some(DIGITS, 2)}-{some(DIGITS, 2)}-{some(DIGITS, 4)}",
        "mrn": lambda: f"M{some(DIGITS, 8)}",
        "health_plan": lambda: f"HP{some(DIGITS, 9)}",
        "account": lambda: some(DIGITS, 11),
        "licence": lambda: f"{some(CAPITALS, 1)}{some(DIGITS, 8)}",
        "vehicle": lambda: f"1{some(CAPITALS.replace('O', ''), 4)}{some(DIGITS, 12)}",
        "device": lambda: f"SN-{some(DIGITS, 4)}-{some(CAPITALS, 4)}",
        "url": lambda: f"https://portal.example.org/u/{word}",
        "ip": lambda: f"10.{draw.randrange(256)}.{draw.randrange(256)}.{draw.randrange(256)}",
        "biometric": lambda: some(HEX, 32),
        "photo": lambda: f"face_{some(DIGITS, 8)}.jpg",
        "other": lambda: f"TR-{some(DIGITS, 4)}-{some(CAPITALS, 3)}{some(DIGITS, 2)}",
    }
    return shapes[kind]()


def plant(landing: Path, planted: list[Sentinel]) -> None:
    """Landing files of the sources south (CSV), north (FHIR), pacs (DICOM) and notes."""
    for form, write in (("csv", _csv), ("fhir", _fhir), ("dicom", _dicom), ("notes", _notes)):
        persons: dict[int, dict[str, Sentinel]] = {}
        for s in planted:
            if s.form == form:
                persons.setdefault(s.person, {})[s.kind] = s
        write(landing, persons)


def _lines(path: Path, lines: list[str], encoding: str = "utf-8") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n", encoding=encoding)


def _csv(landing: Path, persons: dict[int, dict[str, Sentinel]]) -> None:
    head = (
        "ID;BIRTHDATE;DEATHDATE;SSN;DRIVERS;PASSPORT;PREFIX;FIRST;MIDDLE;LAST;MAIDEN;MARITAL;RACE;ETHNICITY;GENDER;ADDRESS;CITY;"
        "STATE;ZIP;PHONE;FAX;EMAIL;PLAN;ACCOUNT;VIN;DEVICE;URL;IP;FINGERPRINT;PHOTO;CODE;SEEN"
    )
    people, texts = [head], ["ID,DATE,PATIENT,ENCOUNTER,CATEGORY,CODE,DESCRIPTION,VALUE,UNITS,TYPE"]
    more = ("fax", "email", "health_plan", "account", "vehicle", "device", "url", "ip", "biometric", "photo", "other", "date")
    for p in persons.values():
        t = {kind: s.text for kind, s in p.items()}
        people.append(
            f"{t['mrn']};01/{1 + p['mrn'].person % 28:02}/1970;;{t['ssn']};{t['licence']};;Mr.;Ann;;{t['name']};;M;white;nonhispanic;F;"
            f"{t['place']};Oldtown;Massachusetts;01748;{t['phone']};" + ";".join(t[kind] for kind in more)
        )
        for kind, s in p.items():
            at = t["date"].replace(" ", "T")
            texts.append(f'{t["mrn"]}-{kind},{at}Z,{t["mrn"]},,survey,75325-1,Symptom,"{s.sentence}",,text')
    _lines(landing / "south" / "patients_sentinels.csv", people, "iso-8859-1")
    _lines(landing / "south" / "observations_sentinels.csv", texts)


def _patient(key: str, t: dict[str, str], day: int) -> str:
    def number(code: str, kind: str) -> dict[str, object]:
        return {"type": {"coding": [{"code": code}]}, "value": t[kind]}

    return json.dumps({
        "resourceType": "Patient", "id": key, "gender": "female", "birthDate": f"1971-02-{1 + day % 28:02}",
        "name": [{"use": "official", "family": t["name"], "given": ["Ann"]}],
        "address": [{"line": [t["place"]], "city": "Oldtown", "state": "MA", "postalCode": "02140"}],
        "telecom": [{"system": system, "value": t[kind]} for system, kind in (("phone", "phone"), ("fax", "fax"), ("email", "email"), ("url", "url"))],
        "identifier": [
            number("MR", "mrn"), number("SS", "ssn"), number("DL", "licence"), number("MB", "health_plan"), number("AN", "account"),
            number("VIN", "vehicle"), number("SNO", "device"), number("XX", "other"),
        ],
        "photo": [{"title": t["photo"], "url": t["url"]}],
        "extension": [{"url": f"urn:{kind}", "valueString": t[kind]} for kind in ("ip", "biometric", "date")],
    })  # fmt: skip


def _key(form: str, i: int) -> str:
    return f"{form}-{sha256(f'{form}{i}'.encode()).hexdigest()[:12]}"


def _fhir(landing: Path, persons: dict[int, dict[str, Sentinel]]) -> None:
    people, texts = [], []
    for i, p in persons.items():
        t = {kind: s.text for kind, s in p.items()}
        people.append(_patient(_key("fhir", i), t, i))
        for kind, s in p.items():
            texts.append(json.dumps({
                "resourceType": "Observation", "id": f"{_key('fhir', i)}-{kind}", "status": "final",
                "code": {"coding": [{"system": "http://loinc.org", "code": "75325-1", "display": "Symptom"}]},
                "subject": {"reference": f"Patient/{_key('fhir', i)}"}, "effectiveDateTime": t["date"].replace(" ", "T") + "Z",
                "valueString": s.sentence,
            }))  # fmt: skip
    _lines(landing / "north" / "Patient.sentinels.ndjson", people)
    _lines(landing / "north" / "Observation.sentinels.ndjson", texts)


def _notes(landing: Path, persons: dict[int, dict[str, Sentinel]]) -> None:
    people = []
    for i, p in persons.items():
        people.append(_patient(_key("notes", i), {kind: s.text for kind, s in p.items()}, i))
        _lines(landing / "notes" / f"{_key('notes', i)}_20240110_letter.txt", [s.sentence for s in p.values()])
    _lines(landing / "north" / "Patient.of-notes.ndjson", people)


def _dicom(landing: Path, persons: dict[int, dict[str, Sentinel]]) -> None:
    """Objects of one study for each three classes: the descriptions of study, series and protocol hold one each."""
    people = []
    folder = landing / "pacs" / "sentinels"
    folder.mkdir(parents=True, exist_ok=True)
    kinds = list(SAID)
    for i, p in persons.items():
        t = {kind: s.text for kind, s in p.items()}
        people.append(_patient(_key("dicom", i), t, i))
        for part in range(0, len(kinds), 3):
            ct = pydicom.dcmread(str(get_testdata_file("CT_small.dcm")))
            root = f"1.2.826.0.1.3680043.8.498.{900_000 + i}.{part}"
            ct.StudyInstanceUID, ct.SeriesInstanceUID = f"{root}.1", f"{root}.2"
            ct.SOPInstanceUID = ct.file_meta.MediaStorageSOPInstanceUID = f"{root}.3"
            ct.PatientID, ct.PatientName, ct.OtherPatientIDs = _key("dicom", i), f"{t['name']}^Ann", t["licence"]
            ct.PatientAddress, ct.PatientTelephoneNumbers, ct.AccessionNumber = t["place"], t["phone"], t["account"]
            ct.DeviceSerialNumber, ct.InstitutionName, ct.PatientComments = t["device"], t["other"], t["ssn"]
            ct.StudyDate, ct.StudyTime = t["date"][:10].replace("-", ""), t["date"][11:].replace(":", "")
            ct.StudyDescription, ct.SeriesDescription, ct.ProtocolName = (p[kind].sentence for kind in kinds[part : part + 3])
            ct.private_block(0x0009, "ACME", create=True).add_new(1, "LT", " ".join(t.values()))
            ct.save_as(folder / f"{i}-{part}.dcm")
    _lines(landing / "north" / "Patient.of-dicom.ndjson", people)
