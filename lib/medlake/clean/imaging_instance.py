"""bronze.dicom_object → rows for silver.imaging_instance, before people, dates and UIDs are replaced."""

from __future__ import annotations

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from medlake.clean.dicom_header import newest, with_header
from medlake.grammar.origin import stands

# Defined terms of Modality, PS3.3 C.7.3.1.1.1 (2025a) with the retired ones still met in archives.
_TERMS = (
    "ANN AR ASMT AU BDUS BI BMD CF CR CT CTPROTOCOL DF DG DM DOC DX ECG EEG EMG EOG EPS ES FA FID FS "
    "GM HC HD IO IOL IVOCT IVUS KER KO LEN LP LS MA MG MR M3D MS NM OAM OCT OP OPM OPR OPT OPTBSV "
    "OPTENF OPV OSS OT PA PLAN POS PR PT PX RESP RF RG RTDOSE RTIMAGE RTINTENT RTPLAN RTRAD RTRECORD "
    "RTSEGANN RTSTRUCT RWV SEG SM SMR SR SRF STAIN ST TEXTUREMAP TG US VA VF XA XAPROTOCOL XC"
)
MODALITIES = frozenset(_TERMS.split())
# Images that carry writing, film labels or a patient's outside as a rule: no thumbnail is made of them.
RISKY_MODALITIES = ("US", "IVUS", "BDUS", "XC", "ES", "GM", "OT", "DOC", "HC", "FA", "DM")
SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"  # and its multi-frame kinds .7.1 to .7.4
SPACED_MODALITIES = ("CT", "MR", "PT", "NM")  # pixel spacing is mandatory in their classes
PHOTOMETRIC = r"^[A-Z0-9_ ]{1,16}$"  # CS, PS3.5 6.2
DICOM_ROOT = r"^1\.2\.840\.10008\.[0-9.]{1,50}$"  # UIDs of the standard: a class, never a patient's object

INSTANCE_COLUMNS = (
    "sop_instance_uid", "person_source_value", "study_uid", "series_uid", "instance_number", "n_frames",
    "n_rows", "n_columns", "bits_stored", "photometric_interpretation", "sop_class_uid",
    "transfer_syntax_uid", "image_position_mm", "image_orientation", "pixel_spacing_mm", "rescale_slope",
    "rescale_intercept", "window_center", "window_width", "burned_in_annotation", "has_pixels",
    "size_bytes", "source", "qc",
)  # fmt: skip


def stage_instances(objects: DataFrame) -> DataFrame:
    """One row per SOP instance, newest version, from rows of bronze.dicom_object.

    UIDs are the original ones and `person_source_value` is the PatientID: both are replaced later.
    `_record` says where the object stands. Flags: `burned_in_risk`, `spacing_missing`, `modality_unknown`,
    `class_private`, `type_<column>`.
    """
    return described(objects).select(*INSTANCE_COLUMNS, stands())


def described(objects: DataFrame) -> DataFrame:
    """Newest version of each instance with every word of its header that a silver table uses.

    Values that may hold anything are kept only where they are a term of the standard, else null with a flag.
    """
    modality = F.upper(F.trim("modality"))
    known = modality.isin(*sorted(MODALITIES))
    return (
        with_header(newest(objects))
        .withColumns(
            {
                "person_source_value": F.trim("patient_key"),
                "size_bytes": F.col("byte_size"),
                "modality": F.when(known, modality),
                "n_frames": F.coalesce("n_frames", F.when(F.col("has_pixels"), F.lit(1))),
                "kvp": F.when(F.col("kvp") > 0, F.col("kvp")),
                "laterality": F.when(F.col("laterality").isin("L", "R", "B", "U"), F.col("laterality")),
                "qc": _flag("qc", "modality_unknown", ~known),
            }
        )
        .withColumn("qc", _flag("qc", "burned_in_risk", burned_in_risk()))
        .withColumns(_standard_terms())
        .withColumn("qc", _flag("qc", "spacing_missing", _lacks_spacing()))
    )


def with_burned_in_risk(objects: DataFrame) -> DataFrame:
    """Newest version of each object with `burned_in_risk` boolean (never null), for thumbnails.

    Columns: those of `objects` without `header_json`; `modality` and class are terms of the standard or null.
    """
    columns = [name for name in objects.columns if name != "header_json"]
    risk = F.array_contains("qc", "burned_in_risk").alias("burned_in_risk")
    return described(objects).select(*columns, risk)


def burned_in_risk() -> Column:
    """Whether pixels may show writing or a face; an unknown modality counts as a risk."""
    return (
        F.coalesce(F.col("modality").isin(*RISKY_MODALITIES), F.lit(True))
        | F.col("sop_class_uid").startswith(SECONDARY_CAPTURE + ".")
        | (F.col("sop_class_uid") == SECONDARY_CAPTURE)
        | F.coalesce(F.upper("burned_in_annotation") != "NO", F.lit(False))
        | F.coalesce(F.upper("recognizable_features") != "NO", F.lit(False))
    )


def _standard_terms() -> dict[str, Column]:
    private = ~F.col("sop_class_uid").rlike(DICOM_ROOT) | ~F.col("transfer_syntax_uid").rlike(DICOM_ROOT)
    return {
        "sop_class_uid": _where_like("sop_class_uid", DICOM_ROOT),
        "transfer_syntax_uid": _where_like("transfer_syntax_uid", DICOM_ROOT),
        "photometric_interpretation": _where_like("photometric_interpretation", PHOTOMETRIC),
        "burned_in_annotation": F.when(
            F.upper("burned_in_annotation").isin("YES", "NO"), F.upper("burned_in_annotation")
        ),
        "qc": _flag("qc", "class_private", private),
    }


def _where_like(name: str, pattern: str) -> Column:
    return F.when(F.col(name).rlike(pattern), F.col(name))


def _lacks_spacing() -> Column:
    spaced = F.col("modality").isin(*SPACED_MODALITIES)
    return F.col("has_pixels") & spaced & F.col("pixel_spacing_mm").isNull()


def _flag(onto: str, name: str, when: Column) -> Column:
    return F.when(F.coalesce(when, F.lit(False)), F.array_append(onto, F.lit(name))).otherwise(F.col(onto))
