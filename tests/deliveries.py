"""What sources of five kinds send: an HL7 v2 feed, FHIR Bundles, a CSV source nobody has seen, a record system and its images."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from pydicom.fileset import FileSet
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from tests.nights import AFTER_SILVER, conf_of, contents, like_a_night
from tests.spec.imaging.conftest import slice_with

from medlake.doors.lake import Lake

PID = "PID|1||70001^^^HOSP^MR~999-11-2222^^^SSA^SS||Quenneville^Marisol||19700102|F|||12 Elm Street^^Springfield^IL^62701||217-555-0142"
PV1 = "PV1|1|I|||||||||||||||||V1|||||||||||||||||||||||||20240101080000"


def message(kind: str, control: str, *segments: str, at: str = "20240105120000") -> bytes:
    return "\r".join([f"MSH|^~\\&|S|H|L|H|{at}||{kind}|{control}|P|2.5.1", *segments, ""]).encode()


def result(value: str, status: str, control: str, at: str) -> bytes:
    obx = f"OBX|1|NM|2345-7^Glucose^LN||{value}|mg/dL|||||{status}|||20240102080000"
    return message("ORU^R01", control, PID, PV1, "OBR|1||F1|24320-4^Panel^LN|||20240102080000", obx, "OBX|2|TX|R^Report||Seen by Marisol.", at=at)


WHO = "urn:uuid:6761ab26-73e9-ad0b-cec4-56c6edd74762"
VISIT = "urn:uuid:0e1f1a0e-0000-4000-8000-000000000001"


def entry(kind: str, key: str, url: str | None = None, **more: Any) -> dict[str, Any]:
    return {**({"fullUrl": url} if url else {}), "resource": {"resourceType": kind, "id": key, **more}, "request": {"method": "POST", "url": kind}}


def event(kind: str, key: str, **more: Any) -> dict[str, Any]:
    return entry(kind, key, subject={"reference": WHO}, encounter={"reference": VISIT}, **more)


def code(code: str, system: str = "http://loinc.org") -> dict[str, Any]:
    return {"coding": [{"system": system, "code": code, "display": f"name of {code}"}]}


PERSON = [
    entry("Patient", "p1", WHO, birthDate="1950-05", gender="female", name=[{"family": "Brackenridge", "given": ["Odalys"]}], maritalStatus=code("M"),
          extension=[{"url": "http://hl7.org/fhir/us/core/StructureDefinition/us-core-race",
                      "extension": [{"url": "ombCategory", "valueCoding": {"code": "2054-5"}}, {"url": "text", "valueString": "Black"}]}]),
    entry("Encounter", "e1", VISIT, subject={"reference": WHO}, **{"class": {"code": "IMP"}}, period={"start": "2024-01-01T08:00:00Z"}),
    event("Observation", "o1", code=code("85354-9"), effectiveDateTime="2024-01-02", component=[{"code": code("8480-6"), "valueQuantity": {"value": 120, "code": "mm[Hg]"}}]),
    event("Condition", "c1", code=code("E11", "http://hl7.org/fhir/sid/icd-10-cm"), onsetDateTime="2019"),
    event("MedicationRequest", "m1", authoredOn="2024-01-02", medicationReference={"reference": "#m"}, contained=[{"resourceType": "Medication", "id": "m", "code": code("860975")}]),
    event("MedicationAdministration", "m1", status="completed", effectiveDateTime="2024-01-02", medicationCodeableConcept=code("860975")),
    event("DiagnosticReport", "d1", code=code("24627-2"), effectiveDateTime="2024-01-03", conclusion="Odalys has no embolism."),
    entry("AllergyIntolerance", "a1", patient={"reference": WHO}, code=code("nuts"), recordedDate="2024-01-02", criticality="high"),
    entry("Device", "v1", patient={"reference": WHO}, type=code("pump"), serialNumber="SN-778899"),
    entry("DeviceUseStatement", "u1", subject={"reference": WHO}, device={"reference": "Device/v1"}, recordedOn="2024-01-02"),
    entry("Specimen", "s1", subject={"reference": WHO}, type=code("BLD"), receivedTime="2024-01-02"),
    entry("Organization", "org", name="House of Healing", type=[code("prov")], address=[{"city": "Springfield", "state": "IL", "postalCode": "62701"}]),
    entry("Practitioner", "doc", gender="male", name=[{"family": "Strangelove"}]),
    entry("PractitionerRole", "role", practitioner={"reference": "Practitioner/doc"}, organization={"reference": "Organization/org"}, specialty=[code("394579002")]),
    {"resource": {"resourceType": "Observation"}},
]  # fmt: skip

SOURCE = '[table.leute]\nfiles = "leute*.csv"\nseparator = ";"\nkey = ["pid"]\n\n[table.befunde]\nfiles = "befunde*.tsv"\n'
PEOPLE = """SELECT pid AS person_source_value,
       CASE geschl WHEN 'M' THEN 8507 WHEN 'W' THEN 8532 ELSE 0 END AS gender_concept_id,
       year(try_to_date(geb, 'yyyy-MM-dd')) AS year_of_birth
FROM leute
"""
RESULTS = """SELECT wer AS person_source_value, code AS measurement_source_value, tag AS measurement_datetime,
       wert AS value_source_value, einheit AS unit_source_value FROM befunde
"""


DICOM_UID, ACSN = "urn:dicom:uid", {"coding": [{"code": "ACSN"}]}
STUDIES = {  # study → (patient, day and hour, accession number)
    "2.1": ("p1", "20240111 090000", ""), "2.2": ("p1", "20240301 100000", "ACC2"), "2.3": ("p1", "20240601 100000", ""),
    "2.4": ("p2", "20240111 090000", ""), "2.5": ("p1", "20240702 120000", "ACC5"), "2.6": ("nobody", "20240111 090000", ""),
}  # fmt: skip
SLICES = {"2.1": 4}  # the others have one
LATE = "2.1.1.3"  # the last slice of the first study comes a night later


def reference(kind: str, key: str) -> dict[str, str]:
    return {"reference": f"{kind}/{key}"}


def encounter(key: str, patient: str, start: str, end: str) -> dict[str, Any]:
    return {"resourceType": "Encounter", "id": key, "status": "finished", "class": {"code": "IMP"},
            "subject": reference("Patient", patient), "period": {"start": start, "end": end}}  # fmt: skip


def procedure(key: str, patient: str, at: str, name: str) -> dict[str, Any]:
    return {"resourceType": "Procedure", "id": key, "status": "completed", "subject": reference("Patient", patient),
            "code": {"coding": [{"system": "http://snomed.info/sct", "code": "1", "display": name}]}, "performedDateTime": at}  # fmt: skip


def order(key: str, patient: str, *, uid: str | None = None, accession: str | None = None, visit: str | None = None, done: str | None = None) -> dict[str, Any]:
    told: dict[str, Any] = {"resourceType": "ImagingStudy", "id": key, "status": "available", "subject": reference("Patient", patient)}
    named = [{"type": ACSN, "system": "urn:acc", "value": accession}] if accession else []
    told["identifier"] = [*named, *([{"system": DICOM_UID, "value": f"urn:oid:{uid}"}] if uid else [])]
    if visit:
        told["encounter"] = reference("Encounter", visit)
    if done:
        told["procedureReference"] = reference("Procedure", done)
    return told


NAMES = {"p1": "Quirkenfeld", "p2": "Zwickelbach"}
RECORDS = [
    {"resourceType": "Patient", "id": "p1", "gender": "female", "birthDate": "1960-02-03", "name": [{"family": "Quirkenfeld", "given": ["Jane"]}]},
    {"resourceType": "Patient", "id": "p2", "gender": "male", "birthDate": "1950-01-01", "name": [{"family": "Zwickelbach"}]},
    encounter("e1", "p1", "2024-01-10T08:00:00Z", "2024-01-12T10:00:00Z"),
    encounter("e2", "p1", "2024-05-31T08:00:00Z", "2024-06-01T08:00:00Z"),
    encounter("e3", "p1", "2024-07-02T08:00:00Z", "2024-07-02T18:00:00Z"),
    encounter("e4", "p1", "2024-07-02T20:00:00Z", "2024-07-02T22:00:00Z"),
    procedure("x1", "p1", "2024-01-11T09:10:00Z", "Computed tomography of chest"),
    procedure("x2", "p1", "2024-01-11T09:20:00Z", "Blood draw"),
    procedure("x3", "p1", "2024-02-27T09:00:00Z", "CT of head"),
    order("o1", "p1", uid="2.1", visit="e1"),
    order("o2", "p1", accession="ACC2", visit="e1", done="x3"),
    order("o4", "p1", uid="2.4", visit="e1"),
]


def objects(folder: Path) -> None:
    """The archive: slices in sub-folders as a medium has them, with its DICOMDIR."""
    numbered, medium = 0, FileSet()
    for study, (patient, when, accession) in STUDIES.items():
        for n in range(SLICES.get(study, 1)):
            day, clock = when.split()
            made = slice_with(numbered, {
                "StudyInstanceUID": study, "SeriesInstanceUID": f"{study}.1", "SOPInstanceUID": f"{study}.1.{n}", "PatientID": patient,
                "PatientName": f"{NAMES.get(patient, 'Nemo')}^Jane", "StudyDate": day, "StudyTime": clock, "SeriesDate": day, "AccessionNumber": accession,
                "ImagePositionPatient": [0, 0, 2.5 * n], "StudyID": "1", "SeriesNumber": "1", "StudyDescription": f"Thorax of {NAMES.get(patient, 'Nemo')}",
            })  # fmt: skip
            path = folder / f"{study}-{n}.dcm"
            path.write_bytes(made)
            medium.add(path)
            numbered += 1
    medium.write(folder / "cd")
    for path in folder.glob("*.dcm"):
        path.unlink()


def place_of(folder: Path, uid: str) -> Path:
    """The file of the medium that holds an object."""
    return next(p for p in (folder / "cd").rglob("*") if p.is_file() and p.name != "DICOMDIR" and uid.encode() + b"\0" in p.read_bytes().replace(b" ", b"\0"))


class Hospital:
    """A lake and its landing folder: `feed` speaks HL7, `clinic` FHIR, `westside` sends tables with names of its own,
    `images` is an archive of the patients of `ehr`, which speaks FHIR as well.

    Its conf leaves a whole night at silver. `held` is what silver and gold hold after the first delivery, `first` the
    folder that keeps that delivery, whatever comes into `landing` later.
    """

    held: dict[str, tuple[int, int]]

    def __init__(self, folder: Path, spark: SparkSession) -> None:
        self.folder, self.lake, self.first = folder, Lake(spark, folder / "lake"), folder / "first"
        self.with_surrogates(True)
        (folder / "conf" / "nightly.toml").write_text("".join(f"[step.{step}]\nrun = false\n" for step in AFTER_SILVER))
        self.declare("feed", "source.toml", 'format = "hl7"\n')
        self.declare("clinic", "source.toml", 'format = "fhir"\n')
        self.declare("ehr", "source.toml", 'format = "fhir"\n')
        self.declare("images", "source.toml", 'format = "dicom"\npatient_source = "ehr"\n')
        self.declare("westside", "source.toml", SOURCE)
        self.declare("westside", "person.sql", PEOPLE)
        self.declare("westside", "measurement.sql", RESULTS)

    def with_surrogates(self, wanted: bool) -> None:
        """Whether names in notes become other names, or tags."""
        conf_of(self.folder / "conf", '[privacy]\nnotes = "surrogates"\n' if wanted else "")

    def declare(self, source: str, file: str, text: str) -> None:
        path = self.folder / "conf" / "sources" / source / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def send(self, file: str, said: str | bytes) -> None:
        path = self.folder / "landing" / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(said if isinstance(said, bytes) else said.encode())

    def of(self, source: str, table: str) -> DataFrame:
        """The rows of a table that came from one source."""
        return self.lake.read(table).where(F.col("source") == source)

    def deliver(self) -> None:
        """The first delivery of all of them, up to silver."""
        admit = message("ADT^A01", "c1", "EVN|A01|20240101080000", PID, PV1, "DG1|1||E11^Diabetes^I10C||20240101|A")
        self.send("feed/adt.hl7", admit + message("ADT^A01", "c2", "EVN|A01", "PID|1||||Nobody") + message("ORM^O01", "c3", PID))
        self.send("feed/oru.hl7", b"\x0b" + result("182", "F", "c4", "20240102") + b"\x1c\r")
        self.send("clinic/person.json", json.dumps({"resourceType": "Bundle", "type": "transaction", "entry": PERSON}, indent=2))
        self.send("clinic/cut.json", '{"resourceType": "Bundle",\n "entry": [{"resource": {"resourceType": "Patient", "id"')
        self.send("westside/leute1.csv", "pid;geschl;geb\n1;M;1950-03-01\n2;W;1981-07-12\n3;X;\n;M;1990-01-01\n")
        self.send("westside/befunde.tsv", "wer\tcode\ttag\twert\teinheit\n1\tna\t2024-01-02\t>140,5\tmmol/L\n2\tna\t2024-02-30\t139\tmmol/L\n9\tna\t2024-01-02\t139\tmmol/L\n")
        self.send("ehr/all.ndjson", "\n".join(json.dumps(record) for record in RECORDS))
        images = self.folder / "landing" / "images"
        images.mkdir()
        objects(images)
        place_of(images, LATE).rename(self.folder / "late")
        shutil.copytree(self.folder / "landing", self.first)
        like_a_night(self.folder, "ingest", "link", "build", "audit")
        self.held = contents(self.lake.spark, self.lake.root)
