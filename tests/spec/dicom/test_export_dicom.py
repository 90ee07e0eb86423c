"""`medlake export dicom`: valid de-identified files under their mapped UIDs; what may show somebody is held back."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pydicom
import pytest
from pydicom.data import get_testdata_file
from pyspark.sql import SparkSession
from pyspark.sql import functions as F
from tests.shared import shared_samples
from tests.tables import completed, rows

from medlake.doors.lake import Lake
from medlake.doors.ledger import Night
from medlake.doors.settings import Conf, load
from medlake.grammar.errors import UsageError
from medlake.imaging import writing
from medlake.privacy.dicom_object import lenient
from medlake.privacy.pseudonym import mapped_uid, pseudonym_for, uid_for
from medlake.sources.dicom import PAYLOAD, objects_of_file
from medlake.sources.reading import STANDS
from medlake.steps import export, export_dicom
from medlake.steps.context import Context, Progress

KEY = bytes(range(32))
SHIFT = -10
SECRETS = ("Quux", "ID-4711-77", "ACC-99", "19520304", "Elmstreet", "1.2.3.4.")


def image(uid: str, **changes: Any) -> pydicom.FileDataset:
    """A CT slice of one patient, full of what names him."""
    ct = pydicom.dcmread(str(get_testdata_file("CT_small.dcm")))
    ct.SOPInstanceUID = ct.file_meta.MediaStorageSOPInstanceUID = f"1.2.3.4.{uid}"
    ct.StudyInstanceUID, ct.SeriesInstanceUID = "1.2.3.4.100", "1.2.3.4.200"
    ct.PatientName, ct.PatientID, ct.AccessionNumber = "Quux^Zoe", "ID-4711-77", "ACC-99"
    ct.PatientBirthDate, ct.StudyDate, ct.StudyDescription = "19520304", "20240310", "CT Chest of Quux, Elmstreet"
    ct.SeriesDescription, ct.Modality = "axial ID-4711-77", "CT"
    ct.BurnedInAnnotation = "NO"
    ct.private_block(0x0009, "ACME", create=True).add_new(1, "LO", "Quux ID-4711-77")
    for keyword, value in changes.items():
        setattr(ct, keyword, value)
    return ct


def with_writing(ct: pydicom.FileDataset, text: str) -> pydicom.FileDataset:
    whole = cv2.resize(ct.pixel_array.astype(np.float32), None, fx=4, fy=4)
    cv2.putText(whole, text, (8, 30), cv2.FONT_HERSHEY_SIMPLEX, 0.8, float(whole.max()), 2, cv2.LINE_AA)
    ct.Rows, ct.Columns = whole.shape
    ct.PixelData = whole.astype(np.int16).tobytes()
    return ct


def as_bytes(dataset: pydicom.FileDataset) -> bytes:
    buffer = io.BytesIO()
    dataset.save_as(buffer)
    return buffer.getvalue()


Make = Callable[[dict[str, bytes]], Context]


@pytest.fixture
def lake_of(spark: SparkSession, tmp_path: Path) -> Make:
    """A function from landed files to a context on a lake that has taken them in."""

    def make(files: dict[str, bytes], *, person_id: int = 77) -> Context:
        landing, lake = tmp_path / "landing", Lake(spark, tmp_path / "lake")
        found = []
        for name, content in files.items():
            path = landing / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
            file = {"source": "pacs", "source_table": "dicom", "file": name, "uri": str(path), "batch": 1,
                    "size_bytes": len(content), "file_sha256": None}  # fmt: skip
            for row in objects_of_file(file):
                assert row.get("reason_code") is None, row["detail"]
                row["file_sha256"] = f"sha-{name}"
                found.append((row, str(path)))
        names = [f.name for f in (*STANDS, *PAYLOAD)]
        from pyspark.sql.types import StructType

        objects = spark.createDataFrame([tuple(r.get(n) for n in names) for r, _ in found], StructType([*STANDS, *PAYLOAD]))
        lake.merge("bronze.dicom_object", completed("bronze.dicom_object", objects))
        landed = spark.createDataFrame([("pacs", "dicom", r["file"], u, r["file_sha256"], 1) for r, u in found],
                                       "source string, source_table string, file string, uri string, file_sha256 string, batch int").distinct()  # fmt: skip
        lake.merge("bronze.landing_file", completed("bronze.landing_file", landed))
        lake.merge("vault.id_vault", completed("vault.id_vault", rows(spark, "vault.id_vault", f"""
            source | person_source_value | person_id   | event_key
            north  | ID-4711-77          | {person_id} | event
        """).withColumn("is_current", F.lit(True))))
        lake.merge("vault.identity", completed("vault.identity", rows(spark, "vault.identity", """
            source | person_source_value | family_name | given_name | birth_date | address_line
            north  | ID-4711-77          | Quux        | Zoe        | 1952-03-04 | Elmstreet 5
        """)))
        lake.merge("vault.date_offset", spark.createDataFrame([(person_id, SHIFT)], "person_id long, shift_days int"))
        uids = objects.select(F.explode(F.array("study_uid", "series_uid", "sop_instance_uid")).alias("uid")).distinct()
        lake.merge("vault.uid_map", uids.withColumn("mapped_uid", mapped_uid(KEY, F.col("uid"))))
        mapped = objects.select(*[mapped_uid(KEY, F.col(n)).alias(n) for n in ("sop_instance_uid", "study_uid", "series_uid")])
        lake.merge("silver.imaging_instance", completed("silver.imaging_instance", mapped.withColumn("person_id", F.lit(person_id).cast("long"))))
        person = rows(spark, "silver.person", f"person_id\n{person_id}")
        lake.merge("silver.person", completed("silver.person", person))
        conf = Conf()
        ctx = Context(spark, Lake(spark, tmp_path / "lake"), load(conf, "local", lake=tmp_path / "lake"), conf, Night(1, date(2024, 5, 6)), KEY, Progress())
        ctx.only, ctx.to = "dicom", tmp_path / "out"
        return ctx

    return make


def path_of(out: Path, uid: str) -> Path:
    return out / uid_for(KEY, "1.2.3.4.100") / uid_for(KEY, "1.2.3.4.200") / f"{uid_for(KEY, f'1.2.3.4.{uid}')}.dcm"


def test_objects_of_files_and_zips_go_out_without_identity(lake_of: Make) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("Quux/1.dcm", as_bytes(image("2")))
        archive.writestr("Quux/2.dcm", as_bytes(image("3")))
    files = {"a/1.dcm": as_bytes(image("1")), "b.zip": packed.getvalue(),
             "us.dcm": as_bytes(image("4", Modality="US", BurnedInAnnotation="NO")),
             "sc.dcm": as_bytes(image("5", SOPClassUID="1.2.840.10008.5.1.4.1.1.7")),
             "yes.dcm": as_bytes(image("6", BurnedInAnnotation="YES")),
             "screen.dcm": as_bytes(image("7", ImageType=["DERIVED", "SECONDARY", "SCREEN SAVE"]))}  # fmt: skip
    ctx = lake_of(files)
    said: list[str] = []
    ctx.progress.say = said.append  # type: ignore[method-assign]
    counts = export.run(ctx)
    assert counts.kept == 3
    assert ctx.to is not None
    out = sorted(p for p in ctx.to.rglob("*") if p.is_file())
    assert out == sorted(path_of(ctx.to, uid) for uid in "123")
    assert any("held back: burned_in_risk: 4" in text for text in said)
    for path in out:
        content = path.read_bytes()
        assert not [word for word in SECRETS if word.lower().encode() in content.lower()]
        made = pydicom.dcmread(path)
        assert (made.PatientID, made.StudyDate, made.StudyDescription) == ("77", "20240229", "CT Chest of")
        assert made.AccessionNumber == pseudonym_for("event", "ACC-99")
        assert made.file_meta.MediaStorageSOPInstanceUID == made.SOPInstanceUID == path.stem
        assert (made.pixel_array == image("1").pixel_array).all()
    noted = ctx.lake.read("ops.export").select("standard", "n_rows", "n_left_out", "n_files").collect()
    assert [tuple(r) for r in noted] == [("dicom", 3, 4, 3)]
    with pytest.raises(UsageError, match="something already"):
        export.run(ctx)


@pytest.mark.skipif(not writing.has_engine(), reason="no Tesseract (apt-get install tesseract-ocr)")
def test_writing_in_an_image_that_says_it_has_none_is_blacked_out(tmp_path: Path) -> None:
    path = tmp_path / "in.dcm"
    path.write_bytes(as_bytes(with_writing(image("1"), "QUUX ZOE 4711")))
    policy = policy_with("clean_pixel_data")
    assert export_dicom.released(row_of(path), tmp_path / "out.dcm", policy) is None
    made = pydicom.dcmread(tmp_path / "out.dcm")
    assert made.BurnedInAnnotation == "NO"
    assert not writing.search(made).is_writing
    assert "113101" in [i.CodeValue for i in made.DeidentificationMethodCodeSequence]
    assert export_dicom.released(row_of(path), tmp_path / "held.dcm", policy_with()) == "burned_in_text"


def policy_with(*options: str, can_search: bool = True, **rule: Any) -> export_dicom.Policy:
    conf = Conf()
    profile = export_dicom.profile_of(conf.toml("dicom_profile.toml"), {**conf.toml("dicom.toml"), "options": [*options]})
    return export_dicom.Policy(profile, KEY, 16, (rule,) if rule else (), can_search)


def row_of(path: Path, uid: str = "1.2.3.4.1", *, risk: bool = False) -> dict[str, Any]:
    return {"uri": str(path), "row": 0, "sop_instance_uid": uid, "burned_in_risk": risk, "person_id": 77,
            "event_key": "event", "shift_days": SHIFT, "words": ["Quux", None, "Zoe"]}  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.104.1"}, "document"),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.88.11"}, "document"),
        ({"SOPInstanceUID": "1.2.3.4.9"}, "moved"),
        ({"ConversionType": "SI"}, "burned_in_risk"),
    ],
)
def test_what_cannot_be_judged_is_held_back(tmp_path: Path, changes: dict[str, Any], reason: str) -> None:
    path = tmp_path / "in.dcm"
    path.write_bytes(as_bytes(image("1", **changes)))
    assert export_dicom.released(row_of(path), tmp_path / "out.dcm", policy_with(can_search=False)) == reason
    assert not (tmp_path / "out.dcm").exists()


def test_without_tesseract_pixels_are_not_said_to_be_clean(lake_of: Make) -> None:
    ctx = lake_of({"1.dcm": as_bytes(image("1"))})
    assert "clean_pixel_data" not in export_dicom.policy_of(ctx, can_search=False).profile.options


def test_a_head_goes_out_only_without_a_face(tmp_path: Path) -> None:
    path, policy = tmp_path / "in.dcm", policy_with("clean_recognizable_features", can_search=False)
    for changes, reason in (({"BodyPartExamined": "HEAD"}, "face"), ({"BodyPartExamined": "CHEST"}, None), ({"RecognizableVisualFeatures": "NO"}, None)):
        path.write_bytes(as_bytes(image("1", **changes)))
        assert export_dicom.released(row_of(path), tmp_path / "out.dcm", policy) == reason
    assert pydicom.dcmread(tmp_path / "out.dcm").RecognizableVisualFeatures == "NO"


@pytest.mark.skipif(not writing.has_engine(), reason="no Tesseract (apt-get install tesseract-ocr)")
def test_the_shared_ultrasound_is_held_back_and_goes_out_black_by_a_rule(tmp_path: Path) -> None:
    path = shared_samples("dicom-phi") / "dicom-phi" / "GREYSCALE_IMAGE.dcm"
    dataset = pydicom.dcmread(path)
    row = row_of(path, dataset.SOPInstanceUID, risk=True)
    assert export_dicom.released(row, tmp_path / "no.dcm", policy_with("clean_pixel_data")) == "burned_in_risk"
    policy = policy_with("clean_pixel_data", "retain_modified_dates", "clean_descriptors", modality="US", keep="regions")
    assert export_dicom.released(row, tmp_path / "out.dcm", policy) is None
    made = pydicom.dcmread(tmp_path / "out.dcm")
    assert (made.pixel_array[:38] == 0).all(), "the name stands in the first rows"
    assert not writing.search(made).is_writing
    unflagged = row_of(path, dataset.SOPInstanceUID, risk=False)  # as if it were no ultrasound and said nothing
    assert export_dicom.released(unflagged, tmp_path / "no.dcm", policy_with()) == "burned_in_text"


@pytest.mark.parametrize("name", ["dicom-phi", "dcm_qa_deident"])
def test_no_planted_identity_is_in_any_byte_of_what_goes_out(tmp_path: Path, name: str) -> None:
    folder = shared_samples(name) / name
    policy = policy_with("retain_modified_dates", "clean_descriptors", can_search=False)
    for path in sorted(folder.glob("*.dcm")):
        with lenient():
            dataset = pydicom.dcmread(path)
            words = {str(v).strip().lower() for e in dataset.iterall() if e.VR == "PN" or "PatientID" in e.keyword or "OtherPatientIDs" in e.keyword or e.keyword in NAMING
                     for v in ([e.value] if e.VM < 2 else e.value)}  # fmt: skip
        out = tmp_path / path.name
        assert export_dicom.released(row_of(path, dataset.SOPInstanceUID), out, policy) in (None, "burned_in_risk")
        if out.exists():
            content = out.read_bytes().lower()
            left = [w for w in words if len(w) > 4 and (w.encode() in content or w.encode("utf-16-le") in content)]
            assert not left, path.name
            pydicom.dcmread(out).pixel_array  # noqa: B018


NAMING = ("InstitutionName", "InstitutionAddress", "StationName", "AccessionNumber", "PatientBirthDate", "StudyID", "DeviceSerialNumber",
          "StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "FrameOfReferenceUID", "RequestingService")  # fmt: skip
