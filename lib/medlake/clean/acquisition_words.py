"""The words of a DICOM header that say how a series was taken: column → where its value stands.

A place is a tag of the object itself (PS3.6), or a macro and a tag in the functional groups of an enhanced
multi-frame object (PS3.3 C.7.6.16, C.8.13 to C.8.15). The first place that holds something counts.
"""

from __future__ import annotations

from typing import NamedTuple


class Place(NamedTuple):
    """Where a value stands; `factor` brings it to the unit of the column."""

    tag: str
    macro: str | None = None  # the sequence within a functional group, in an enhanced object
    factor: float = 1.0


CT_EXPOSURE, CT_XRAY, CT_RECONSTRUCTION = "00189321", "00189325", "00189314"
CT_TABLE, CT_ACQUISITION, CT_GEOMETRY = "00189308", "00189304", "00189312"
MR_TIMING, MR_ECHO, MR_MODIFIER, MR_DIFFUSION = "00189112", "00189114", "00189115", "00189117"
MR_AVERAGES, MR_COIL, MR_IMAGING, MEASURES = "00189119", "00189042", "00189006", "00289110"
PHARMACEUTICAL, REGIONS = "00540016", "00186011"
INJECTED_AT, NUCLIDE, CODE, MEANING = "00181078", "00540300", "00080100", "00080104"

# Settings that one series has once: where its instances disagree the least counts, with the flag `varies_<column>`.
NUMBERS: dict[str, tuple[Place, ...]] = {
    "kvp": (Place("00180060"), Place("00180060", CT_XRAY)),  # kV
    "slice_thickness_mm": (Place("00180050"), Place("00180050", MEASURES)),
    "spacing_between_slices_mm": (Place("00180088"), Place("00180088", MEASURES)),
    # CT
    "reconstruction_diameter_mm": (Place("00181100"), Place("00181100", CT_RECONSTRUCTION)),
    "pitch": (Place("00189311"), Place("00189311", CT_TABLE)),
    "rotation_time_s": (Place("00189305"), Place("00189305", CT_ACQUISITION)),
    "single_collimation_mm": (Place("00189306"), Place("00189306", CT_ACQUISITION)),
    "total_collimation_mm": (Place("00189307"), Place("00189307", CT_ACQUISITION)),
    "gantry_tilt_deg": (Place("00181120"), Place("00181120", CT_ACQUISITION)),
    # MR
    "magnetic_field_t": (Place("00180087"),),
    "repetition_time_ms": (Place("00180080"), Place("00180080", MR_TIMING)),
    "inversion_time_ms": (Place("00180082"), Place("00189079", MR_MODIFIER)),
    "flip_angle_deg": (Place("00181314"), Place("00181314", MR_TIMING)),
    "echo_train_length": (Place("00180091"), Place("00180091", MR_TIMING)),
    "n_averages": (Place("00180083"), Place("00180083", MR_AVERAGES)),
    "pixel_bandwidth_hz": (Place("00180095"), Place("00180095", MR_IMAGING)),
    # projection X-ray
    "distance_source_detector_mm": (Place("00181110"), Place("00181110", CT_GEOMETRY)),
    "distance_source_patient_mm": (Place("00181111"),),
    "body_part_thickness_mm": (Place("001811A0"),),
    "compression_force_n": (Place("001811A2"),),
    "focal_spot_mm": (Place("00181190"), Place("00181190", CT_XRAY)),
    # ultrasound
    "mechanical_index": (Place("00185022"),),
    "frame_rate_hz": (Place("00180040"), Place("00082144")),
    # PET
    "injected_dose_mbq": (Place("00181074", PHARMACEUTICAL, 1e-6),),  # Bq in the PET classes
    "half_life_s": (Place("00181075", PHARMACEUTICAL),),
    "patient_weight_kg": (Place("00101030"),),
}
# What follows the patient from slice to slice or image to image: the median counts.
MEDIANS: dict[str, tuple[Place, ...]] = {
    "tube_current_ma": (Place("00181151"), Place("00188151", None, 1e-3), Place("00189330", CT_EXPOSURE)),
    "exposure_time_ms": (Place("00181150"), Place("00188150", None, 1e-3), Place("00189328", CT_EXPOSURE)),
    "exposure_mas": (Place("00181152"), Place("00181153", None, 1e-3), Place("00189332", CT_EXPOSURE)),
    "ctdi_vol_mgy": (Place("00189345"), Place("00189345", CT_EXPOSURE)),
    "exposure_index": (Place("00181411"),),
    "entrance_dose_mgy": (Place("00408302"),),
    "area_dose_dgy_cm2": (Place("0018115E"),),
    "frame_duration_ms": (Place("00181242"),),
}
# What a series may well have several of: all of them, sorted.
SEVERAL: dict[str, tuple[Place, ...]] = {
    "echo_times_ms": (Place("00180081"), Place("00189082", MR_ECHO)),
    "b_values_s_per_mm2": (Place("00189087"), Place("00189087", MR_DIFFUSION)),
}
# Coded strings (CS, PS3.5 6.2): what is none is left out.
CODES: dict[str, tuple[Place, ...]] = {
    "patient_position": (Place("00185100"),),
    "mr_acquisition_type": (Place("00180023"),),
    "view_position": (Place("00185101"),),
    "detector_type": (Place("00187004"),),
    "anode_target": (Place("00181191"),),
    "filter_material": (Place("00187050"), Place("00187050", CT_XRAY)),
    "transducer_type": (Place("00186031"),),
    "pet_units": (Place("00541001"),),
    "decay_correction": (Place("00541102"),),
    "suv_type": (Place("00541006"),),
}
CODE_LISTS: dict[str, str] = {
    "image_type": "00080008",
    "scanning_sequence": "00180020",
    "sequence_variant": "00180021",
    "scan_options": "00180022",
    "series_type": "00541000",
    "corrected_image": "00280051",
}
# Free words of makers and users: they may hold anything.
TEXTS: dict[str, tuple[Place, ...]] = {
    "convolution_kernel": (Place("00181210"), Place("00181210", CT_RECONSTRUCTION)),
    "filter_type": (Place("00181160"), Place("00181160", CT_XRAY)),
    "sequence_name": (Place("00180024"), Place("00189005")),
    "receive_coil": (Place("00181250"), Place("00181250", MR_COIL)),
    "contrast_agent": (Place("00180010"),),
    "radiopharmaceutical": (Place("00180031", PHARMACEUTICAL),),
    "reconstruction_method": (Place("00541103"),),
    "attenuation_correction": (Place("00541101"),),
}
IMAGER_SPACING, FRAME_TIME, N_FRAMES = "00181164", "00181063", "00280008"
REGION_UNIT_X, REGION_UNIT_Y, REGION_STEP_X, REGION_STEP_Y = "00186024", "00186026", "0018602C", "0018602E"
CENTIMETRES = "3"  # of Physical Units X and Y Direction
