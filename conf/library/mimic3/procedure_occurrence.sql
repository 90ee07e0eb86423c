-- Codes are given for the bill, without a time of their own: they count from the admission.
SELECT d.row_id AS event_source_value,
       d.subject_id AS person_source_value,
       d.hadm_id AS visit_source_value,
       d.icd9_code AS procedure_source_value,
       'ICD9Proc' AS procedure_source_vocabulary,
       n.long_title AS procedure_source_name,
       try_to_timestamp(v.admittime) - a.moved AS procedure_datetime
FROM procedures_icd d
LEFT JOIN admissions v ON v.hadm_id = d.hadm_id
LEFT JOIN anchor a ON a.subject_id = d.subject_id
LEFT JOIN d_icd_procedures n ON n.icd9_code = d.icd9_code
