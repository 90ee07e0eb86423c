"""pacs: real DICOM objects rewritten so that they belong to north's patients and ImagingStudy resources."""

import copy
import io
import zipfile
from dataclasses import dataclass
from typing import Any

from pydicom import Dataset, dcmread
from pydicom.data import get_testdata_file
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

from . import volume
from .files import Json, number_of
from .north import FIRST_EXPORT_AT, medical_record_number
from .pacs_plan import STUDIES, Study
from .places import SEED

Objects = dict[str, bytes]
OF_ANOTHER_SCAN = [
    "RescaleIntercept",
    "RescaleSlope",
    "WindowCenter",
    "WindowWidth",
    "SmallestImagePixelValue",
    "LargestImagePixelValue",
    "Manufacturer",
    "ManufacturerModelName",
    "StationName",
    "DeviceSerialNumber",
    "SoftwareVersions",
    "EchoTime",
    "EchoNumbers",
    "ImagingFrequency",
    "FlipAngle",
    "NumberOfAverages",
    "AcquisitionTime",
    "PatientWeight",
    "DataSetTrailingPadding",
]  # what MR_small.dcm says of its own acquisition
ZIP_DATE = (2026, 6, 30, 0, 0, 0)


@dataclass
class Made:
    """One study as made: its ImagingStudy and its objects by path relative to the source's folder."""

    plan: Study
    patient: Json
    imaging_study: Json
    objects: Objects


def studies(north: dict[str, list[Json]], night: int) -> list[Made]:
    """Make the studies of one night for `north`'s patients; their ImagingStudy goes into `north`."""
    patients = {row["id"]: row for row in north["Patient"]}
    made: list[Made] = []
    taken: set[str] = set()
    for plan in (plan for plan in STUDIES if plan.night == night):
        resource = _imaging_study(plan, north, taken)
        patient = patients[_subject(resource)]
        taken |= {resource["id"], patient["id"]}
        made.append(_study(plan, patient, resource))
        others = [row for row in north["ImagingStudy"] if row["id"] != resource["id"]]
        north["ImagingStudy"] = sorted([*others, made[-1].imaging_study], key=lambda row: str(row["id"]))
    return made


def zipped(objects: Objects) -> bytes:
    """A zip of objects whose bytes depend on nothing but the objects."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in sorted(objects):
            archive.writestr(zipfile.ZipInfo(name, ZIP_DATE), objects[name], zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


def as_bytes(dataset: Dataset) -> bytes:
    """A data set as a Part 10 file."""
    buffer = io.BytesIO()
    dataset.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def _subject(resource: Json) -> str:
    return str(resource["subject"]["reference"]).removeprefix("Patient/")


def _imaging_study(plan: Study, north: dict[str, list[Json]], taken: set[str]) -> Json:
    """A study of that modality by somebody not yet taken, or a new one at one of their visits."""

    def order(resource: Json) -> int:
        return number_of(SEED, plan.name, resource["id"])

    for resource in sorted(north["ImagingStudy"], key=order):
        modalities = {series["modality"]["code"] for series in resource["series"]}
        if plan.modality in modalities and not taken & {resource["id"], _subject(resource)}:
            return copy.deepcopy(resource)
    visits = [
        row for row in north["Encounter"] if row["period"]["start"] > "2018" and _subject(row) not in taken
    ]
    visit = min(visits, key=order)
    digits = f"{number_of(SEED, 'study', plan.name):032x}"
    return {
        "resourceType": "ImagingStudy",
        "id": f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:32]}",
        "meta": {"versionId": "1", "lastUpdated": FIRST_EXPORT_AT},
        "identifier": [
            {"use": "official", "system": "urn:ietf:rfc:3986", "value": f"urn:oid:{uid('study', plan.name)}"}
        ],
        "status": "available",
        "subject": {"reference": visit["subject"]["reference"]},
        "encounter": {"reference": f"Encounter/{visit['id']}"},
        "started": visit["period"]["start"],
    }


def _study(plan: Study, patient: Json, resource: Json) -> Made:
    resource["description"] = plan.description
    accession = f"A{number_of(SEED, 'accession', plan.name) % 10**9:09d}"
    coding = {"system": "http://terminology.hl7.org/CodeSystem/v2-0203", "code": "ACSN"}
    resource["identifier"] = [
        *resource["identifier"][:1],
        {"type": {"coding": [coding]}, "system": "urn:north:accession", "value": accession},
    ]
    objects: Objects = {}
    listed = []
    for number, (description, names) in enumerate(plan.series, 1):
        datasets = [template(name) for name in names] or _volume(plan)
        for position, dataset in enumerate(datasets, 1):
            belong(dataset, plan, patient, resource)
            place(dataset, plan, number, description, position)
            objects[f"{plan.name}/{number}/{position:03d}{'.dcm' if number % 2 else ''}"] = as_bytes(dataset)
        listed.append(_listed_series(datasets, number, description))
    resource["series"] = listed
    resource["numberOfSeries"] = len(listed)
    resource["numberOfInstances"] = len(objects)
    if plan.in_zip:
        objects = {f"{plan.name}.zip": zipped(objects)}
    return Made(plan, patient, resource, objects)


def template(name: str) -> Dataset:
    path = get_testdata_file(name, download=False)
    if path is None:
        raise FileNotFoundError(f"pydicom's wheel no longer holds {name}: adapt pacs_plan.py")
    dataset = dcmread(str(path))
    dataset.preamble = b"\0" * 128
    return dataset


def belong(dataset: Dataset, plan: Study, patient: Json, resource: Json) -> None:
    """Write whose object it is, with the identifiers that real archives spread over many tags."""
    name = next(row for row in patient["name"] if row["use"] == "official")
    address = patient["address"][0]
    started = resource["started"]
    dataset.PatientID = patient["id"]
    dataset.PatientName = "^".join([name["family"], *name["given"][:2]])
    dataset.SpecificCharacterSet = "ISO_IR 192"
    dataset.PatientBirthDate = patient["birthDate"].replace("-", "")
    dataset.PatientSex = patient["gender"][0].upper()
    dataset.OtherPatientIDs = medical_record_number(patient["id"])
    dataset.PatientAddress = f"{address['line'][0]}, {address['city']}"
    dataset.PatientTelephoneNumbers = patient["telecom"][0]["value"]
    dataset.ReferringPhysicianName = "Okonkwo^Beatrice"
    dataset.InstitutionName = "North Hospital"
    dataset.AccessionNumber = resource["identifier"][1]["value"]
    dataset.StudyInstanceUID = resource["identifier"][0]["value"].removeprefix("urn:oid:")
    dataset.StudyDate = dataset.SeriesDate = dataset.ContentDate = started[:10].replace("-", "")
    dataset.StudyTime = dataset.SeriesTime = dataset.ContentTime = started[11:19].replace(":", "")
    dataset.TimezoneOffsetFromUTC = "+0000"
    for date in ("AcquisitionDate", "InstanceCreationDate"):
        if date in dataset:
            setattr(dataset, date, dataset.StudyDate)
    dataset.StudyID = plan.name[:16]
    dataset.StudyDescription = plan.description
    dataset.ImageComments = f"Discussed with {name['family']}, born {patient['birthDate']}"
    block = dataset.private_block(0x0011, "NORTH PACS", create=True)
    block.add_new(0x10, "LO", f"{name['given'][0]} {name['family']}")
    block.add_new(0x11, "LO", f"MRN {medical_record_number(patient['id'])}")


def place(dataset: Dataset, plan: Study, series: int, description: str, position: int) -> None:
    """Write where in the study it stands: its unique identifiers, numbers and descriptions."""
    dataset.Modality = plan.modality
    dataset.SeriesInstanceUID = uid("series", plan.name, series)
    dataset.SOPInstanceUID = uid("instance", plan.name, series, position)
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    dataset.SeriesNumber, dataset.InstanceNumber = series, position
    dataset.SeriesDescription = description
    if "FrameOfReferenceUID" in dataset:
        dataset.FrameOfReferenceUID = uid("frame", plan.name, series)
    if plan.modality == "US":
        dataset.BurnedInAnnotation = "YES"


def _listed_series(datasets: list[Dataset], number: int, description: str) -> Json:
    first = datasets[0]
    return {
        "uid": first.SeriesInstanceUID,
        "number": number,
        "modality": {"system": "http://dicom.nema.org/resources/ontology/DCM", "code": first.Modality},
        "description": description,
        "numberOfInstances": len(datasets),
        "instance": [
            {
                "uid": dataset.SOPInstanceUID,
                "sopClass": {"system": "urn:ietf:rfc:3986", "code": f"urn:oid:{dataset.SOPClassUID}"},
                "number": int(dataset.InstanceNumber),
            }
            for dataset in datasets
        ],
    }


def _volume(plan: Study) -> list[Dataset]:
    """One MR Image object per slice of the real volume, over the frame of a small real MR object."""
    return [_slice(plan, number, item) for number, item in enumerate(volume.slices(), 1)]


def _slice(plan: Study, number: int, item: volume.Slice) -> Dataset:
    dataset: Any = template("MR_small.dcm")
    for keyword in OF_ANOTHER_SCAN:
        if keyword in dataset:
            delattr(dataset, keyword)
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.Rows, dataset.Columns = item.pixels.shape
    dataset.SamplesPerPixel, dataset.PixelRepresentation = 1, 0
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, 12, 11
    dataset.ImagePositionPatient = item.position
    dataset.ImageOrientationPatient = item.orientation
    dataset.PixelSpacing = item.row_column_mm
    dataset.SliceThickness = dataset.SpacingBetweenSlices = item.thickness_mm
    dataset.SliceLocation = round(item.thickness_mm * (number - 1), 4)
    dataset.ScanningSequence, dataset.RepetitionTime = "EP", 2000
    dataset.BodyPartExamined, dataset.MRAcquisitionType = "HEAD", "2D"
    dataset.FrameOfReferenceUID = uid("frame", plan.name)
    dataset.PixelData = item.pixels.astype("<u2").tobytes()
    return dataset


def uid(*parts: object) -> str:
    return str(generate_uid(entropy_srcs=[str(SEED), *map(str, parts)]))
