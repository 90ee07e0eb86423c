-- Codes are given for the bill, without a time of their own: they count from the admission.
SELECT d.row_id AS event_source_value,
       d.subject_id AS person_source_value,
       d.hadm_id AS visit_source_value,
       d.icd9_code AS condition_source_value,
       'ICD9CM' AS condition_source_vocabulary,
       n.long_title AS condition_source_name,
       try_to_timestamp(v.admittime) - a.moved AS condition_start_datetime
FROM diagnoses_icd d
LEFT JOIN admissions v ON v.hadm_id = d.hadm_id
LEFT JOIN anchor a ON a.subject_id = d.subject_id
LEFT JOIN d_icd_diagnoses n ON n.icd9_code = d.icd9_code
