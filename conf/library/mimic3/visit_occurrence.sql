SELECT v.hadm_id AS visit_source_value,
       v.subject_id AS person_source_value,
       try_to_timestamp(v.admittime) - a.moved AS visit_start_datetime,
       try_to_timestamp(v.dischtime) - a.moved AS visit_end_datetime,
       9201 AS visit_concept_id,
       v.admission_type AS visit_type_source_value
FROM admissions v LEFT JOIN anchor a ON a.subject_id = v.subject_id
