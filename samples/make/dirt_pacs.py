"""Faults planted in the picture archive; faults.toml tells what each is and what must become of it."""

import io
import zipfile

from pydicom import Dataset

from .dirt_north import NOBODY
from .pacs import ZIP_DATE, Made, Objects, as_bytes, belong, place, template, uid
from .pacs_plan import Study
from .planted import Planted
from .strangers import ADA, VISITED_AT, patients

FOLDER = "incoming"
PROGRAM = (
    b"MZ\x90\x00\x03\x00\x00\x00\x04\x00\x00\x00\xff\xff\x00\x00"
    + bytes(48)
    + b"\x0e\x1f\xba\x0e\x00\xb4\x09\xcd\x21This program cannot be run in DOS mode.\r\r\n$"
)


def plant(made: list[Made], planted: Planted) -> Objects:
    """Further objects with faults, most of them Ada's, and one object that comes twice."""
    objects = _broken()
    for file in objects:
        planted.add(file[:3], f"pacs/objects/{FOLDER}/{file}", needle=f"{FOLDER}/{file}")
    objects |= _archives(planted) | _doubtful(planted)
    by_name = {study.plan.name: study for study in made}
    vessel, bone = by_name["us_vessel"], by_name["nm_bone"]
    objects["copy_of_vessel.dcm"] = next(iter(vessel.objects.values()))
    for name, study, file in (
        ("D17", vessel, f"{FOLDER}/copy_of_vessel.dcm"),
        ("D18", bone, next(iter(bone.objects))),
    ):
        planted.add(name, f"pacs/objects/{file}", person=study.patient["id"], needle=first_instance(study))
    return {f"{FOLDER}/{file}": content for file, content in objects.items()}


def first_instance(study: Made) -> str:
    """The SOP Instance UID of a study's first object."""
    return str(study.imaging_study["series"][0]["instance"][0]["uid"])


def object_of_ada(name: str) -> Dataset:
    """A small real MR object as a study of its own, belonging to Ada."""
    resource = {
        "started": VISITED_AT,
        "identifier": [{"value": f"urn:oid:{uid('study', name)}"}, {"value": f"A99{name}"}],
    }
    plan = Study(name, "MR", f"Planted study {name}", ())
    dataset = template("MR_small.dcm")
    belong(dataset, plan, patients()[0], resource)
    place(dataset, plan, 1, "planted", 1)
    return dataset


def _without(name: str, keyword: str) -> bytes:
    dataset = object_of_ada(name)
    delattr(dataset, keyword)
    return as_bytes(dataset)


def _broken() -> Objects:
    orphan = object_of_ada("D06")
    orphan.PatientID = NOBODY
    return {
        "D01.dcm": as_bytes(object_of_ada("D01"))[:-1500],
        "D02.dcm": _without("D02", "PixelData"),
        "D03.dcm": _without("D03", "PatientID"),
        "D04.dcm": _without("D04", "SOPInstanceUID"),
        "D05.dcm": _without("D05", "Modality"),
        "D06.dcm": as_bytes(orphan),
        "D07.dcm": PROGRAM,
        "D08.dcm": b"",
        "D09.txt": b"Viewer settings\r\nzoom=1.0\r\n",
    }


def _archives(planted: Planted) -> Objects:
    buffer = io.BytesIO()
    good, evil = object_of_ada("D10"), object_of_ada("D11")
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, dataset in (("../evil.dcm", evil), ("good.dcm", good)):
            archive.writestr(zipfile.ZipInfo(name, ZIP_DATE), as_bytes(dataset), zipfile.ZIP_DEFLATED)
    planted.add("D10", f"pacs/objects/{FOLDER}/unsafe.zip", person=ADA, needle=good.SOPInstanceUID)
    for name, file in (("D11", "unsafe.zip"), ("D12", "cut.zip")):
        planted.add(name, f"pacs/objects/{FOLDER}/{file}", needle=f"{FOLDER}/{file}")
    return {"unsafe.zip": buffer.getvalue(), "cut.zip": buffer.getvalue()[:2000]}


def _doubtful(planted: Planted) -> Objects:
    datasets = {name: object_of_ada(name) for name in ("D13", "D14", "D15", "D16")}
    datasets["D13"].StudyDate = "20200230"
    datasets["D14"].Modality = "XYZ"
    datasets["D15"].BurnedInAnnotation = "YES"
    datasets["D16"].SliceThickness = "12.345"
    objects: Objects = {}
    for name, dataset in datasets.items():
        file = f"{name}.dcm"
        objects[file] = as_bytes(dataset).replace(b"12.345", b"12 mm ")  # pydicom refuses to write it
        planted.add(name, f"pacs/objects/{FOLDER}/{file}", person=ADA, needle=dataset.SOPInstanceUID)
    return objects
