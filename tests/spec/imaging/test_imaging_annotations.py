"""silver.image_annotation: what SEG, RTSTRUCT and SR objects say of other images, made by highdicom and pydicom."""

from __future__ import annotations

import copy
import io
import json
import math
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import highdicom as hd
import numpy as np
import pydicom
import pytest
from highdicom.sr.coding import CodedConcept
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.sr.codedict import codes
from pydicom.uid import generate_uid
from pyspark.sql import DataFrame, Row, SparkSession
from tests.tables import assert_rows, parsed

from medlake.clean.contours import box, volume_ml
from medlake.clean.image_annotation import marks_of, stage_annotations
from medlake.grammar.contract import promise
from medlake.privacy.pseudonym import mapped_uid, mapped_uids
from medlake.sources.dicom import objects_of_file

SERIES = "1.2.3.4"
DEVICE = {"manufacturer": "maker", "manufacturer_model_name": "model", "software_versions": "1", "device_serial_number": "7"}
NEW = {"series_number": 9, "instance_number": 1}


@pytest.fixture(scope="module")
def images() -> list[pydicom.Dataset]:
    """A stack of four CT slices, 2 mm apart."""
    made = []
    for n in range(4):
        ct = pydicom.dcmread(str(get_testdata_file("CT_small.dcm")))
        ct.SOPInstanceUID = f"{SERIES}.{n}"
        ct.SeriesInstanceUID, ct.StudyInstanceUID, ct.FrameOfReferenceUID = SERIES, "1.2.3", "1.2.9"
        ct.ImagePositionPatient, ct.ImageOrientationPatient, ct.PixelSpacing = [0, 0, 2 * n], [1, 0, 0, 0, 1, 0], [0.5, 0.5]
        ct.file_meta.MediaStorageSOPInstanceUID = ct.SOPInstanceUID
        made.append(ct)
    return made


def segmentation(images: list[pydicom.Dataset]) -> pydicom.Dataset:
    """Two segments: one on slices 1 and 2, one on slice 3."""
    described = [
        hd.seg.SegmentDescription(
            segment_number=n, segment_label=label, segmented_property_category=codes.SCT.MorphologicallyAbnormalStructure,
            segmented_property_type=kind, algorithm_type=hd.seg.SegmentAlgorithmTypeValues.AUTOMATIC,
            algorithm_identification=hd.AlgorithmIdentificationSequence(name="finder", version="1", family=codes.DCM.ArtificialIntelligence),
        )
        for n, label, kind in ((1, "Nodule of Doe^Jane", codes.SCT.Nodule), (2, "mass", codes.SCT.Mass))
    ]  # fmt: skip
    mask = np.zeros((4, 128, 128, 2), dtype=np.uint8)
    mask[1:3, 20:30, 20:30, 0] = 1
    mask[3, 50:60, 50:60, 1] = 1
    return hd.seg.Segmentation(
        source_images=images, pixel_array=mask, segmentation_type=hd.seg.SegmentationTypeValues.BINARY,
        segment_descriptions=described, series_instance_uid="1.2.50", sop_instance_uid="1.2.50.1", **NEW, **DEVICE,
    )  # fmt: skip


def report(images: list[pydicom.Dataset]) -> pydicom.Dataset:
    """TID 1500 with a planar ROI group (diameter and area) on slice 2 and a plain group on slice 0."""
    region = hd.sr.ImageRegion(
        graphic_type=hd.sr.GraphicTypeValues.CIRCLE, graphic_data=np.array([[30.0, 30.0], [30.0, 40.0]]),
        source_image=hd.sr.SourceImageForRegion(images[2].SOPClassUID, images[2].SOPInstanceUID),
    )  # fmt: skip
    mm, mm2 = codes.UCUM.Millimeter, codes.UCUM.SquareMillimeter
    size = hd.sr.Measurement(name=codes.SCT.Diameter, value=10.25, unit=mm)
    planar = hd.sr.PlanarROIMeasurementsAndQualitativeEvaluations(
        tracking_identifier=hd.sr.TrackingIdentifier(uid=generate_uid(), identifier="lesion 1"), referenced_region=region,
        finding_type=codes.SCT.Nodule, finding_sites=[hd.sr.FindingSite(codes.SCT.Lung)],
        measurements=[size, hd.sr.Measurement(name=codes.SCT.Area, value=82.5, unit=mm2)],
    )  # fmt: skip
    plain = hd.sr.MeasurementsAndQualitativeEvaluations(
        source_images=[hd.sr.SourceImageForMeasurementGroup(images[0].SOPClassUID, images[0].SOPInstanceUID)],
        tracking_identifier=hd.sr.TrackingIdentifier(uid=generate_uid(), identifier="whole slice"),
        measurements=[hd.sr.Measurement(
            name=CodedConcept("112031", "DCM", "Attenuation Coefficient"), value=-3.5,
            unit=CodedConcept("[hnsf'U]", "UCUM", "Hounsfield unit"),
        )],
    )  # fmt: skip
    observer = hd.sr.ObserverContext(
        observer_type=codes.DCM.Person, observer_identifying_attributes=hd.sr.PersonObserverIdentifyingAttributes(name="Doe^Reader")
    )
    content = hd.sr.MeasurementReport(
        observation_context=hd.sr.ObservationContext(observer_person_context=observer),
        procedure_reported=codes.LN.CTUnspecifiedBodyRegion, imaging_measurements=[planar, plain],
    )  # fmt: skip
    return hd.sr.Comprehensive3DSR(
        evidence=images, content=content[0], series_instance_uid="1.2.60", sop_instance_uid="1.2.60.1", manufacturer="maker", **NEW
    )


def item(**elements: object) -> Dataset:
    made = Dataset()
    for keyword, value in elements.items():
        setattr(made, keyword, value)
    return made


def square(side: float, z: float, x: float = 0.0, n: int = 4) -> list[float]:
    """The outline of a square from (x, 0): corners, and `n` points in all."""
    corners = [(x, 0.0), (x + side, 0.0), (x + side, side), (x, side)]
    each = n // 4
    points = []
    for (ax, ay), (bx, by) in zip(corners, corners[1:] + corners[:1], strict=True):
        points += [(ax + (bx - ax) * k / each, ay + (by - ay) * k / each, z) for k in range(each)]
    return [round(v, 4) for p in points for v in p]


def contour(points: list[float], kind: str = "CLOSED_PLANAR", image: str | None = None) -> Dataset:
    made = item(ContourGeometricType=kind, NumberOfContourPoints=len(points) // 3, ContourData=points)
    if image:
        sop = item(ReferencedSOPClassUID="1.2.840.10008.5.1.4.1.1.2", ReferencedSOPInstanceUID=image)
        made.ContourImageSequence = Sequence([sop])
    return made


def structures(images: list[pydicom.Dataset]) -> pydicom.Dataset:
    """A cube with a hole on three slices in more points than a header keeps of other elements, a marker, an undrawn region."""
    made = pydicom.dcmread(str(get_testdata_file("rtstruct.dcm")), force=True)
    made.PatientID, made.SOPInstanceUID, made.SeriesInstanceUID, made.StudyInstanceUID = "1CT1", "1.2.70.1", "1.2.70", "1.2.3"
    made.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2"
    named = Sequence([item(ReferencedSOPClassUID=i.SOPClassUID, ReferencedSOPInstanceUID=i.SOPInstanceUID) for i in images])
    series = item(SeriesInstanceUID=SERIES, ContourImageSequence=named)
    study = item(ReferencedSOPClassUID="1.2.840.10008.3.1.2.3.1", ReferencedSOPInstanceUID="1.2.3", RTReferencedSeriesSequence=Sequence([series]))
    made.ReferencedFrameOfReferenceSequence = Sequence([item(FrameOfReferenceUID="1.2.9", RTReferencedStudySequence=Sequence([study]))])
    rois = ((1, "GTV", "AUTOMATIC"), (2, "iso", "MANUAL"), (3, "empty", "SEMIAUTOMATIC"))
    made.StructureSetROISequence = Sequence(
        [item(ROINumber=n, ROIName=name, ReferencedFrameOfReferenceUID="1.2.9", ROIGenerationAlgorithm=how) for n, name, how in rois]
    )
    cube = [contour(square(20, 2.0 * k, n=400), image=images[k].SOPInstanceUID) for k in range(3)]
    holes = [contour([v + 5 if n % 3 != 2 else v for n, v in enumerate(square(10, 2.0 * k))]) for k in range(3)]
    made.ROIContourSequence = Sequence(
        [item(ReferencedROINumber=1, ContourSequence=Sequence([*cube, *holes])),
         item(ReferencedROINumber=2, ContourSequence=Sequence([contour([1.0, 2.0, 3.0], "POINT")]))]
    )  # fmt: skip
    coded = item(CodeValue="4147007", CodingSchemeDesignator="SCT", CodeMeaning="Mass")
    made.RTROIObservationsSequence = Sequence(
        [item(ObservationNumber=1, ReferencedROINumber=1, RTROIInterpretedType="GTV", ROIInterpreter="Doe^Reader",
              RTROIIdentificationCodeSequence=Sequence([coded])),
         item(ObservationNumber=2, ReferencedROINumber=2, RTROIInterpretedType="Doe^Jane", ROIInterpreter="")]
    )  # fmt: skip
    return made


def written(dataset: pydicom.Dataset, path: Path) -> str:
    buffer = io.BytesIO()
    dataset.save_as(buffer, enforce_file_format=True, implicit_vr=dataset.file_meta.TransferSyntaxUID == "1.2.840.10008.1.2", little_endian=True)
    path.write_bytes(buffer.getvalue())
    return str(path)


@pytest.fixture(scope="module")
def paths(images: list[pydicom.Dataset], tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("marks")
    return {name: written(make(images), folder / name) for name, make in (("seg", segmentation), ("sr", report), ("rt", structures))}


@pytest.fixture(scope="module")
def told(bronze: Callable[..., DataFrame], paths: dict[str, str]) -> DataFrame:
    real = str(get_testdata_file("liver_1frame.dcm"))
    return stage_annotations(bronze(*[{"file": p} for p in (*paths.values(), real)], {"SeriesInstanceUID": "8.8"})).cache()


def test_every_segment_region_and_measurement_is_a_row(told: DataFrame) -> None:
    assert_rows(told, """
        series_uid | item    | kind        | label              | concept_code | concept_vocabulary | category_code | category_vocabulary | site_code | algorithm_type | qc
        1.2.50     | 1       | segment     | Nodule of Doe^Jane | 27925004     | SNOMED             | 49755003      | SNOMED              | null      | AUTOMATIC      | []
        1.2.50     | 2       | segment     | mass               | 4147007      | SNOMED             | 49755003      | SNOMED              | null      | AUTOMATIC      | []
        1.2.70     | 1       | region      | GTV                | 4147007      | SNOMED             | GTV           | DICOM               | null      | AUTOMATIC      | []
        1.2.70     | 2       | region      | iso                | null         | null               | null          | null                | null      | MANUAL         | []
        1.2.70     | 3       | region      | empty              | null         | null               | null          | null                | null      | SEMIAUTOMATIC  | []
        1.2.60     | NODULE1 | measurement | lesion 1           | 81827009     | SNOMED             | 27925004      | SNOMED              | 39607008  | null           | []
        1.2.60     | NODULE2 | measurement | lesion 1           | 42798000     | SNOMED             | 27925004      | SNOMED              | 39607008  | null           | []
        1.2.60     | PLAIN   | measurement | whole slice        | 112031       | DCM                | null          | null                | null      | null           | []
        1.3.6.1.4.1.5962.99.1.3814087073.479799962.1489872804257.4.0 | 1 | segment | Liver | T-62000 | SRT | T-D0050 | SRT | null | SEMIAUTOMATIC | []
    """.replace("NODULE1", places(told)[0]).replace("NODULE2", places(told)[1]).replace("PLAIN  ", places(told)[2])
        .replace("1.3.6.1.4.1.5962.99.1.3814087073.479799962.1489872804257.4.0", liver_series()))  # fmt: skip


def liver_series() -> str:
    return str(pydicom.dcmread(str(get_testdata_file("liver_1frame.dcm")), stop_before_pixels=True).SeriesInstanceUID)


def places(told: DataFrame) -> list[str]:
    """Where the measurements stand in the content tree, in its order."""
    found = [r["item"] for r in told.where("kind = 'measurement'").collect()]
    assert all(place.startswith("1.") for place in found) and len(set(found)) == 3
    return sorted(found, key=lambda place: [int(n) for n in place.split(".")])


def of(told: DataFrame, series: str) -> dict[str, Row]:
    return {r["label"]: r for r in told.where(f"series_uid = '{series}'").collect()}


def test_measurements_have_values_units_and_the_images_they_are_about(told: DataFrame) -> None:
    rows = told.where("kind = 'measurement'").collect()
    have = {(r["concept_name"], r["value_as_number"], r["unit_source_value"], tuple(r["referenced_sop_instance_uids"])) for r in rows}
    assert have == {
        ("Diameter", 10.25, "mm", (f"{SERIES}.2",)), ("Area", 82.5, "mm2", (f"{SERIES}.2",)),
        ("Attenuation Coefficient", -3.5, "[hnsf'U]", (f"{SERIES}.0",)),
    }  # fmt: skip
    assert {tuple(r["referenced_series_uids"]) for r in rows} == {(SERIES,)}


def test_a_segment_is_placed_by_its_frames(told: DataFrame) -> None:
    nodule, mass = of(told, "1.2.50")["Nodule of Doe^Jane"], of(told, "1.2.50")["mass"]
    assert (nodule["n_frames"], mass["n_frames"]) == (2, 1)
    assert nodule["bounding_box_mm"] == [0.0, 0.0, 2.0, 63.5, 63.5, 4.0]
    assert mass["bounding_box_mm"] == [0.0, 0.0, 6.0, 63.5, 63.5, 6.0]
    assert nodule["referenced_sop_instance_uids"] == [f"{SERIES}.1", f"{SERIES}.2"]
    assert (mass["referenced_series_uids"], mass["referenced_sop_instance_uids"]) == ([SERIES], [f"{SERIES}.3"])


def test_a_region_is_measured_by_its_contours(told: DataFrame) -> None:
    cube, marker, empty = (of(told, "1.2.70")[name] for name in ("GTV", "iso", "empty"))
    assert (cube["n_contours"], cube["n_points"], cube["bounding_box_mm"]) == (6, 1212, [0.0, 0.0, 0.0, 20.0, 20.0, 4.0])
    assert cube["volume_ml"] == pytest.approx((20 * 20 - 10 * 10) * 3 * 2 / 1000)
    assert cube["referenced_sop_instance_uids"] == [f"{SERIES}.{n}" for n in range(3)]
    assert (marker["n_contours"], marker["bounding_box_mm"], marker["volume_ml"]) == (1, [1.0, 2.0, 3.0, 1.0, 2.0, 3.0], None)
    assert len(marker["referenced_sop_instance_uids"]) == 4  # it names none of its own: those of its object
    assert (empty["n_contours"], empty["bounding_box_mm"], empty["referenced_series_uids"]) == (0, None, [SERIES])


def test_no_reader_and_no_patient_is_told(told: DataFrame) -> None:
    text = "".join(told.drop("label", "person_source_value").toJSON().collect())
    assert "Doe" not in text


def test_staged_rows_have_what_the_promise_wants(told: DataFrame) -> None:
    staged = {f.name: f.dataType.simpleString() for f in told.schema}
    want = {f.name: f.dataType.simpleString() for f in promise("silver.image_annotation").schema}
    assert {n: t for n, t in staged.items() if n not in ("_record", "person_source_value")} == {
        n: t for n, t in want.items() if n != "person_id"
    }


def test_uids_in_a_list_are_replaced_as_everywhere(spark: SparkSession, told: DataFrame) -> None:
    key = bytes(range(32))
    uids = told.where("label = 'GTV'").select("referenced_sop_instance_uids")
    (row,) = uids.select(mapped_uids(key, uids["referenced_sop_instance_uids"]).alias("mapped")).collect()
    one = spark.createDataFrame([(f"{SERIES}.{n}",) for n in range(3)], "uid string")
    assert row["mapped"] == sorted(r[0] for r in one.select(mapped_uid(key, one["uid"])).collect())
    harmless = {c.name for c in promise("silver.image_annotation").columns.values() if c.phi == "none"}
    assert not harmless & {"label", "concept_name", "category_name", "site_name", "algorithm_name", "referenced_sop_instance_uids"}


@pytest.fixture(scope="module")
def headers(paths: dict[str, str]) -> dict[str, dict[str, Any]]:
    found = {}
    for name, path in paths.items():
        file = {"source": "p", "source_table": "dicom", "file": name, "uri": path, "batch": 1, "size_bytes": 1, "file_sha256": None}
        (row,) = objects_of_file(file)
        assert row.get("reason_code") is None, row
        found[row["modality"]] = json.loads(row["header_json"])
    return found


def broken(value: Any, chance: random.Random) -> Any:
    """The header with parts taken away or made another shape."""
    if isinstance(value, dict):
        return {k: broken(v, chance) for k, v in value.items() if chance.random() > 0.03}
    if isinstance(value, list):
        return [broken(v, chance) for v in value if chance.random() > 0.03]
    return chance.choice([value] * 20 + [None, "", "x", {}, [], -1, 1e400, "1.2"])


def test_no_damage_of_a_header_stops_the_others(headers: dict[str, dict[str, Any]]) -> None:
    chance, n = random.Random(11), 0
    for modality, header in headers.items():
        for _ in range(150):
            for mark in marks_of(modality, broken(copy.deepcopy(header), chance)):
                assert mark["item"] and isinstance(mark["qc"], list)
                assert all(math.isfinite(v) for v in mark.get("bounding_box_mm") or [])
                n += 1
    assert n > 500


def test_one_number_used_twice_stays_two_marks(headers: dict[str, dict[str, Any]]) -> None:
    header = copy.deepcopy(headers["SEG"])
    header["00620002"]["Value"][1]["00620004"]["Value"] = [1]
    marks = list(marks_of("SEG", header))
    assert [m["item"] for m in marks] == ["1", "1.1"]
    assert marks[1]["qc"] == ["item_twice"]


def test_each_flag_of_a_mark(headers: dict[str, dict[str, Any]]) -> None:
    twice, alone = copy.deepcopy(headers["SEG"]), copy.deepcopy(headers["RTSTRUCT"])
    twice["00620002"]["Value"][1]["00620004"]["Value"] = [1]
    for tag in REFERENCES:
        without(alone, tag)
    _, cells = parsed("""
        modality | mark | qc
        SEG      | 0    | []
        SEG      | 1    | [item_twice]
        RTSTRUCT | 0    | [nothing_referenced]
    """)
    marks = {"SEG": list(marks_of("SEG", twice)), "RTSTRUCT": list(marks_of("RTSTRUCT", alone))}
    for modality, mark, flags in cells:
        assert str(marks[modality][int(mark)]["qc"]).replace("'", "") == flags, (modality, mark)


REFERENCES = ("30060010", "30060016", "00081115", "00081140", "00081199")


def without(header: Any, tag: str) -> None:
    """Takes an attribute away at every level."""
    if isinstance(header, dict):
        header.pop(tag, None)
        for value in header.values():
            without(value, tag)
    elif isinstance(header, list):
        for value in header:
            without(value, tag)


def ring(radius: float, z: float, n: int = 360) -> np.ndarray:
    angle = np.linspace(0, 2 * math.pi, n, endpoint=False)
    return np.stack([radius * np.cos(angle), radius * np.sin(angle), np.full(n, z)], axis=1)


def turned(points: np.ndarray) -> np.ndarray:
    a, b = 0.7, 0.3
    x = np.array([[1, 0, 0], [0, math.cos(a), -math.sin(a)], [0, math.sin(a), math.cos(a)]])
    z = np.array([[math.cos(b), -math.sin(b), 0], [math.sin(b), math.cos(b), 0], [0, 0, 1]])
    return points @ (x @ z).T + np.array([100.0, -50.0, 7.0])


def stacks() -> Iterator[tuple[str, list[np.ndarray], float | None]]:
    disc = math.pi * 100 * 3 * 4 / 1000  # r 10 mm, four planes 3 mm apart
    whole = [ring(10, 3.0 * k) for k in range(4)]
    yield "cylinder", whole, disc
    yield "turned in space", [turned(c) for c in whole], disc
    yield "pipe", [*whole, *[ring(5, 3.0 * k) for k in range(4)]], disc * 0.75
    yield "pipe with a rod", [*whole, *[ring(r, 3.0 * k) for r in (5, 1) for k in range(4)]], disc * 0.76
    yield "two beside each other", [*whole, *[c + np.array([50.0, 0, 0]) for c in whole]], disc * 2
    yield "one plane", whole[:1], None
    yield "a plane is missing", [whole[0], whole[1], whole[3]], None
    yield "no planes", [np.array([[0.0, 0, 0], [5, 0, 0], [5, 5, 3], [0, 5, 0]])] * 2, None
    yield "points", [np.array([[0.0, 0, 0]])], None
    yield "a line", [np.array([[0.0, 0, 0], [1, 1, 0], [2, 2, 0]]), np.array([[0.0, 0, 1], [1, 1, 1], [2, 2, 1]])], None
    yield "nothing", [], None


@pytest.mark.parametrize(("contours", "volume"), [pytest.param(c, v, id=name) for name, c, v in stacks()])
def test_volumes_of_known_shapes(contours: list[np.ndarray], volume: float | None) -> None:
    assert volume_ml(contours) == (None if volume is None else pytest.approx(volume, rel=2e-3))


def test_the_box_of_no_point_is_none() -> None:
    assert box([]) is None
    assert box([np.zeros((0, 3))]) is None
