"""What codes of DICOM, of our tables, rules and models are called on the page."""

from __future__ import annotations

MODALITIES = {
    "CR": "X-ray (computed radiography)",
    "DX": "X-ray (digital)",
    "CT": "CT (computed tomography)",
    "MR": "MR (magnetic resonance)",
    "US": "Ultrasound",
    "MG": "Mammography",
    "NM": "Nuclear medicine",
    "PT": "PET (positron emission)",
    "XA": "Angiography",
    "RF": "Fluoroscopy",
    "OT": "Other",
    "SC": "Secondary capture",
    "ECG": "ECG",
    "RTSTRUCT": "Radiotherapy contours",
    "RTDOSE": "Radiotherapy dose",
    "RTPLAN": "Radiotherapy plan",
    "SEG": "Segmentation",
    "SR": "Structured report",
    "SM": "Slide microscopy",
    "ES": "Endoscopy",
}
TABLES = {
    "person": "People",
    "visit_occurrence": "Visits",
    "condition_occurrence": "Diagnoses",
    "drug_exposure": "Medicines",
    "procedure_occurrence": "Procedures",
    "measurement": "Lab results and vital signs",
    "observation": "Other observations",
    "note": "Notes",
    "death": "Deaths",
    "imaging_study": "Imaging studies",
    "image_occurrence": "Image series",
    "imaging_instance": "Images",
}
FLAGS = {
    "orphan_visit": "points to a visit that is not in the lake",
    "before_birth": "is dated before the person's birth",
    "after_death": "is dated after the person's death",
    "end_before_start": "ends before it starts",
    "value_not_numeric": "has a result in words, not a number",
    "unit_unknown": "has a unit that the lake does not know",
    "unit_converted": "was converted to the usual unit",
    "value_out_of_range": "has a value outside what is plausible",
    "value_missing": "has no value",
    "gender_unknown": "does not say the sex",
    "duplicate_person_key": "shares its key with another person",
}
REASONS = {
    "file_empty": "The file is empty",
    "file_unreadable": "The file cannot be read",
    "archive_unsafe": "The archive is not safe to open",
    "encoding": "The text is not in the encoding it claims",
    "nul_byte": "The text holds a NUL byte",
    "too_few_fields": "The line has too few fields",
    "too_many_fields": "The line has too many fields",
    "second_header": "The header is repeated among the rows",
    "unclosed_quote": "A quote is never closed",
    "key_missing": "The record has no key",
    "json_invalid": "The line is not valid JSON",
    "json_trailing": "Two objects on one line",
    "json_duplicate_key": "A JSON key is given twice",
    "json_not_object": "The line is not a JSON object",
    "json_not_finite": "A number is infinite or not a number",
    "resource_type_missing": "The FHIR resource has no type",
    "resource_id_missing": "The FHIR resource has no id",
    "dicom_not_part10": "Not a DICOM file",
    "dicom_truncated": "The DICOM file is cut off",
    "dicom_uid_missing": "The image has no UID",
    "dicom_patient_missing": "The image names no patient",
    "dicom_modality_missing": "The image does not say how it was made",
    "dicom_pixels_missing": "The image has no pixels",
    "orphan_person": "It belongs to nobody in the lake",
    "date_in_future": "Its date lies in the future",
    "before_1900": "Its date lies before 1900",
}
MODELS = {
    "logistic": "Logistic regression",
    "linear_svm": "Linear SVM",
    "decision_tree": "Decision tree",
    "random_forest": "Random forest",
}
LEVELS = {
    "8507": "Men",
    "8532": "Women",
    "0": "Sex not known",
    "male": "Men",
    "female": "Women",
    "unknown": "Not known",
}
SUBGROUPS = {"sex": "Sex", "age_band": "Age", "source": "Source", "site": "Site"}
METRICS = {"auroc": "AUROC", "auprc": "AUPRC", "brier": "Brier score"}
COUNTED = frozenset({"visits", "conditions", "drugs"})  # units that are counted, not measured
UNITS = {
    "a": "years",
    "mm[Hg]": "mmHg",
    "kg/m2": "kg/m²",
    "Cel": "°C",
    "/min": "per min",
    "10*3/uL": "×10³/µL",
    "10*6/uL": "×10⁶/µL",
    "10*9/L": "×10⁹/L",
    "10*12/L": "×10¹²/L",
    "umol/L": "µmol/L",
    "ug/L": "µg/L",
    "1": "",
}
SHORTENED = (
    (" at the index time", ""),
    (" in the last 365 days", " in a year"),
    (" recorded so far", ""),
)
