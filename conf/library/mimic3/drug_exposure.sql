-- A prescription without an NDC ('0') is known by its name only.
SELECT p.row_id AS event_source_value,
       p.subject_id AS person_source_value,
       p.hadm_id AS visit_source_value,
       CASE WHEN coalesce(p.ndc, '0') = '0' THEN p.drug ELSE p.ndc END AS drug_source_value,
       CASE WHEN coalesce(p.ndc, '0') = '0' THEN 'MIMIC' ELSE 'NDC' END AS drug_source_vocabulary,
       p.drug AS drug_source_name,
       try_to_timestamp(p.startdate) - a.moved AS drug_exposure_start_datetime,
       try_to_timestamp(p.enddate) - a.moved AS drug_exposure_end_datetime,
       p.form_val_disp AS quantity
FROM prescriptions p LEFT JOIN anchor a ON a.subject_id = p.subject_id
