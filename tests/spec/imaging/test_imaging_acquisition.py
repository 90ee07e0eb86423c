"""silver.series_acquisition: how a series was taken, from real and constructed objects of five kinds of machine."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pydicom
import pytest
from pydicom.data import get_testdata_file
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pyspark.sql import DataFrame, Row
from tests.shared import shared_samples
from tests.tables import assert_rows

from medlake.clean.series_acquisition import TAKEN, stage_acquisitions
from medlake.grammar.contract import promise


def item(**elements: object) -> Dataset:
    made = Dataset()
    for keyword, value in elements.items():
        setattr(made, keyword, value)
    return made


def seq(**elements: object) -> Sequence:
    return Sequence([item(**elements)])


BARE = dict.fromkeys(("KVP", "XRayTubeCurrent", "Exposure", "ExposureTime", "SliceThickness", "ConvolutionKernel",
                      "ReconstructionDiameter", "GantryDetectorTilt", "DistanceSourceToDetector", "FilterType",
                      "DistanceSourceToPatient", "FocalSpots", "ScanOptions", "ImageType"))  # fmt: skip


def real(name: str) -> dict[str, Any]:
    return {"file": str(get_testdata_file(name))}


ENHANCED_CT = {
    **BARE, "SeriesInstanceUID": "2.1", "NumberOfFrames": 2, "PixelData": bytes(16),
    "SharedFunctionalGroupsSequence": seq(
        CTExposureSequence=seq(XRayTubeCurrentInmA=210.5, ExposureTimeInms=500.0, ExposureInmAs=105.25, CTDIvol=7.5),
        CTXRayDetailsSequence=seq(KVP=100.0, FilterType="WEDGE"),
        CTTableDynamicsSequence=seq(SpiralPitchFactor=1.375),
        CTAcquisitionDetailsSequence=seq(RevolutionTime=0.5, SingleCollimationWidth=0.625, TotalCollimationWidth=40.0,
                                         GantryDetectorTilt=0.0),
        PixelMeasuresSequence=seq(PixelSpacing=[0.7, 0.7], SliceThickness=1.25),
    ),
    "PerFrameFunctionalGroupsSequence": Sequence(
        [item(CTReconstructionSequence=seq(ConvolutionKernel=["BONE"], ReconstructionDiameter=350.0)) for _ in range(2)]
    ),
}  # fmt: skip
ENHANCED_MR = {
    **BARE, "SeriesInstanceUID": "2.2", "Modality": "MR", "NumberOfFrames": 3, "PixelData": bytes(24),
    "MagneticFieldStrength": 3.0, "PulseSequenceName": "DWI_EPI",
    "SharedFunctionalGroupsSequence": seq(
        MRTimingAndRelatedParametersSequence=seq(RepetitionTime=6000.0, FlipAngle=90.0, EchoTrainLength=47),
        MRModifierSequence=seq(InversionTimes=[220.0]), MRAveragesSequence=seq(NumberOfAverages=2.0),
    ),
    "PerFrameFunctionalGroupsSequence": Sequence([
        item(MREchoSequence=seq(EffectiveEchoTime=echo), MRDiffusionSequence=seq(DiffusionBValue=b))
        for echo, b in ((80.0, 1000.0), (80.0, 0.0), (90.0, 1000.0))
    ]),
}  # fmt: skip
MAMMOGRAM = {
    **BARE, "SeriesInstanceUID": "3.1", "Modality": "MG", "KVP": "29", "ExposureInuAs": 84_000, "XRayTubeCurrentInuA": 100_000,
    "ExposureTimeInuS": 840_000.0, "ViewPosition": "MLO", "DetectorType": "DIRECT", "AnodeTargetMaterial": "TUNGSTEN",
    "FilterMaterial": "RHODIUM", "BodyPartThickness": "56", "CompressionForce": "110.5", "ImagerPixelSpacing": ["0.07", "0.07"],
    "EntranceDoseInmGy": "4.2", "FocalSpots": "0.3", "DistanceSourceToDetector": "660", "ExposureIndex": "512",
}  # fmt: skip
CHEST = {**BARE, "SeriesInstanceUID": "3.2", "Modality": "DX", "ViewPosition": "Smith^John was here", "KVP": DataElement(0x00180060, "LO", "abc"), "ImageAndFluoroscopyAreaDoseProduct": "0.8"}  # fmt: skip
REGION = {"RegionSpatialFormat": 1, "RegionDataType": 1, "PhysicalUnitsXDirection": 3, "PhysicalUnitsYDirection": 3}
ULTRASOUND = {
    **BARE, "SeriesInstanceUID": "4.1", "Modality": "US", "NumberOfFrames": 5, "PixelData": bytes(40), "FrameTime": "40",
    "MechanicalIndex": "1.1", "TransducerType": "SECTOR_PHASED",
    "SequenceOfUltrasoundRegions": Sequence([
        item(PhysicalUnitsXDirection=4, PhysicalUnitsYDirection=3, PhysicalDeltaX=0.01, PhysicalDeltaY=0.02),  # time by way
        item(**REGION, PhysicalDeltaX=0.031, PhysicalDeltaY=-0.029),
    ]),
}  # fmt: skip
PET = {
    **BARE, "SeriesInstanceUID": "5.1", "Modality": "PT", "Units": "BQML", "DecayCorrection": "START", "SUVType": "BW",
    "SeriesType": ["WHOLE BODY", "IMAGE"], "CorrectedImage": ["DECY", "ATTN"], "ReconstructionMethod": "OSEM 3i 24s",
    "ActualFrameDuration": "120000", "PatientWeight": "71.5",
    "RadiopharmaceuticalInformationSequence": seq(
        Radiopharmaceutical="Fluorodeoxyglucose", RadionuclideTotalDose="370500000", RadionuclideHalfLife="6586.2",
        RadiopharmaceuticalStartDateTime="20200102091500.5", RadionuclideCodeSequence=seq(CodeValue="C-111A1", CodeMeaning="18F"),
    ),
}  # fmt: skip
OBJECTS: tuple[dict[str, Any], ...] = (
    real("CT_small.dcm"), real("MR_small.dcm"), real("examples_overlay.dcm"), real("examples_ybr_color.dcm"),
    real("liver_1frame.dcm"), real("SC_rgb_rle.dcm"),
    ENHANCED_CT, ENHANCED_MR, MAMMOGRAM, CHEST, ULTRASOUND, PET,
    *[{"SeriesInstanceUID": "1.1", "XRayTubeCurrent": str(ma), "KVP": kv} for ma, kv in ((100, "120"), (300, "100"), (200, "120"))],
    *[{"SeriesInstanceUID": "1.2", "Modality": "MR", "EchoTime": te} for te in ("30", "10", "20", "10")],
)  # fmt: skip


@pytest.fixture(scope="module")
def objects(bronze: Callable[..., DataFrame]) -> DataFrame:
    return bronze(*[dict(one) for one in OBJECTS])


@pytest.fixture(scope="module")
def told(objects: DataFrame) -> dict[str, Row]:
    return {row["series_uid"]: row for row in stage_acquisitions(objects).collect()}


def of(told: dict[str, Row], name: str) -> Row:
    return told[str(pydicom.dcmread(str(get_testdata_file(name)), stop_before_pixels=True).SeriesInstanceUID)]


def test_only_the_five_kinds_have_a_row(told: dict[str, Row]) -> None:
    assert len(told) == 12
    assert {row["modality"] for row in told.values()} <= set(TAKEN)


def test_a_real_ct(told: dict[str, Row]) -> None:
    row = of(told, "CT_small.dcm")
    assert (row["kvp"], row["tube_current_ma"], row["exposure_mas"], row["exposure_time_ms"]) == (120.0, 170.0, 170.0, 1601.0)
    assert (row["convolution_kernel"], row["slice_thickness_mm"], row["reconstruction_diameter_mm"]) == ("STANDARD", 5.0, 338.671600)
    assert (row["gantry_tilt_deg"], row["image_type"]) == (0.0, ["ORIGINAL", "PRIMARY", "AXIAL"])
    assert (row["magnetic_field_t"], row["echo_times_ms"], row["us_pixel_spacing_mm"], row["pet_units"]) == (None,) * 4
    assert row["qc"] == []


def test_a_real_mr(told: dict[str, Row]) -> None:
    row = of(told, "examples_overlay.dcm")
    assert (row["magnetic_field_t"], row["repetition_time_ms"], row["echo_times_ms"]) == (1.4939999580383, 5.53, [2.81])
    assert (row["flip_angle_deg"], row["scanning_sequence"], row["mr_acquisition_type"]) == (10.0, ["GR"], "3D")
    small = of(told, "MR_small.dcm")
    assert (small["repetition_time_ms"], small["echo_times_ms"], small["scanning_sequence"]) == (4000.0, [240.0], ["SE"])


def test_a_real_ultrasound_film(told: dict[str, Row]) -> None:
    row = of(told, "examples_ybr_color.dcm")
    file = pydicom.dcmread(str(get_testdata_file("examples_ybr_color.dcm")), stop_before_pixels=True)
    region = file.SequenceOfUltrasoundRegions[0]
    assert (row["n_frames"], row["n_regions"]) == (int(file.NumberOfFrames), len(file.SequenceOfUltrasoundRegions))
    assert row["frame_rate_hz"] == pytest.approx(30.0, abs=0.01)
    assert row["us_pixel_spacing_mm"] == [round(region.PhysicalDeltaY * 10, 6), round(region.PhysicalDeltaX * 10, 6)]


def test_constructed_series(objects: DataFrame) -> None:
    of_tests = stage_acquisitions(objects).where("length(series_uid) = 3")
    assert_rows(of_tests, """
        series_uid | modality | n_instances | kvp   | tube_current_ma | exposure_mas | exposure_time_ms | convolution_kernel | view_position | qc
        1.1        | CT       | 3           | 100.0 | 200.0           | 170.0        | 1601.0           | STANDARD           | null          | [varies_kvp]
        1.2        | MR       | 4           | 120.0 | 170.0           | 170.0        | 1601.0           | STANDARD           | null          | []
        2.1        | CT       | 1           | 100.0 | 210.5           | 105.25       | 500.0            | BONE               | null          | []
        2.2        | MR       | 1           | null  | null            | null         | null             | null               | null          | []
        3.1        | MG       | 1           | 29.0  | 100.0           | 84.0         | 840.0            | null               | MLO           | []
        3.2        | DX       | 1           | null  | null            | null         | null             | null               | null          | [type_kvp]
        4.1        | US       | 1           | null  | null            | null         | null             | null               | null          | []
        5.1        | PT       | 1           | null  | null            | null         | null             | null               | null          | []
    """)


def test_enhanced_objects_tell_it_in_their_functional_groups(told: dict[str, Row]) -> None:
    ct, mr = told["2.1"], told["2.2"]
    assert (ct["pitch"], ct["rotation_time_s"], ct["single_collimation_mm"], ct["total_collimation_mm"]) == (1.375, 0.5, 0.625, 40.0)
    assert (ct["ctdi_vol_mgy"], ct["reconstruction_diameter_mm"], ct["slice_thickness_mm"]) == (7.5, 350.0, 1.25)
    assert (ct["filter_type"], ct["n_frames"]) == ("WEDGE", 2)
    assert (mr["magnetic_field_t"], mr["repetition_time_ms"], mr["flip_angle_deg"], mr["echo_train_length"]) == (3.0, 6000.0, 90.0, 47.0)
    assert (mr["inversion_time_ms"], mr["n_averages"], mr["sequence_name"]) == (220.0, 2.0, "DWI_EPI")
    assert (mr["echo_times_ms"], mr["b_values_s_per_mm2"]) == ([80.0, 90.0], [0.0, 1000.0])
    assert told["1.2"]["echo_times_ms"] == [10.0, 20.0, 30.0]


def test_a_mammogram(told: dict[str, Row]) -> None:
    row = told["3.1"]
    assert (row["detector_type"], row["anode_target"], row["filter_material"]) == ("DIRECT", "TUNGSTEN", "RHODIUM")
    assert (row["body_part_thickness_mm"], row["compression_force_n"], row["imager_pixel_spacing_mm"]) == (56.0, 110.5, [0.07, 0.07])
    assert (row["entrance_dose_mgy"], row["focal_spot_mm"], row["exposure_index"]) == (4.2, 0.3, 512.0)
    assert row["distance_source_detector_mm"] == 660.0
    assert told["3.2"]["area_dose_dgy_cm2"] == 0.8


def test_an_ultrasound_is_calibrated_by_its_first_region_in_centimetres(told: dict[str, Row]) -> None:
    row = told["4.1"]
    assert (row["us_pixel_spacing_mm"], row["n_regions"], row["frame_rate_hz"], row["n_frames"]) == ([0.29, 0.31], 2, 25.0, 5)
    assert (row["mechanical_index"], row["transducer_type"]) == (1.1, "SECTOR_PHASED")


def test_a_pet_tells_what_was_given_and_when(told: dict[str, Row]) -> None:
    row = told["5.1"]
    assert (row["radiopharmaceutical"], row["radionuclide"], row["injected_dose_mbq"]) == ("Fluorodeoxyglucose", "C-111A1", 370.5)
    assert (row["half_life_s"], row["injected_at"]) == (6586.2, datetime(2020, 1, 2, 9, 15))
    assert (row["pet_units"], row["suv_type"], row["decay_correction"], row["patient_weight_kg"]) == ("BQML", "BW", "START", 71.5)
    assert (row["series_type"], row["corrected_image"]) == (["WHOLE BODY", "IMAGE"], ["DECY", "ATTN"])
    assert (row["reconstruction_method"], row["frame_duration_ms"]) == ("OSEM 3i 24s", 120_000.0)


def test_a_word_that_may_be_a_name_is_not_taken_for_a_term(told: dict[str, Row]) -> None:
    assert told["3.2"]["view_position"] is None
    assert "smith" not in str(told).lower()


def test_staged_rows_lack_only_what_the_engine_gives(objects: DataFrame) -> None:
    staged = {f.name: f.dataType.simpleString() for f in stage_acquisitions(objects).schema}
    want = {f.name: f.dataType.simpleString() for f in promise("silver.series_acquisition").schema}
    staged.pop("person_source_value")
    want.pop("person_id")
    assert staged == want


def test_free_words_and_days_are_not_promised_as_harmless() -> None:
    harmless = {c.name for c in promise("silver.series_acquisition").columns.values() if c.phi == "none"}
    assert not harmless & {
        "series_uid", "study_uid", "injected_at", "sequence_name", "receive_coil", "contrast_agent", "radiopharmaceutical",
        "reconstruction_method", "attenuation_correction", "convolution_kernel", "filter_type",
    }  # fmt: skip


def test_real_scans_say_what_pydicom_reads(bronze: Callable[..., DataFrame]) -> None:
    folder = shared_samples("tcia-ct100", "dcm_qa_deident")
    paths = [*sorted((folder / "tcia-ct100").glob("*.dcm")), *sorted((folder / "dcm_qa_deident").glob("*.dcm"))]
    rows = {r["series_uid"]: r for r in stage_acquisitions(bronze(*[{"file": str(p)} for p in paths])).collect()}
    columns = {
        "kvp": "KVP", "tube_current_ma": "XRayTubeCurrent", "exposure_mas": "Exposure", "slice_thickness_mm": "SliceThickness",
        "pitch": "SpiralPitchFactor", "magnetic_field_t": "MagneticFieldStrength", "repetition_time_ms": "RepetitionTime",
        "flip_angle_deg": "FlipAngle", "gantry_tilt_deg": "GantryDetectorTilt", "pixel_bandwidth_hz": "PixelBandwidth",
    }  # fmt: skip
    seen = 0
    for path in paths:
        file = pydicom.dcmread(path, stop_before_pixels=True)
        row = rows[str(file.SeriesInstanceUID)]
        for column, keyword in columns.items():
            said = file.get(keyword)
            assert row[column] == (None if said in (None, "") else pytest.approx(float(said))), (Path(path).name, column)
            seen += said is not None
    assert seen > 100
