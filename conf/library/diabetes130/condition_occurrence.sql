SELECT s.patient_nbr AS person_source_value,
       s.encounter_id AS visit_source_value,
       concat(s.encounter_id, '-', place) AS event_source_value,
       code AS condition_source_value,
       'ICD9CM' AS condition_source_vocabulary,
       d.began AS condition_start_datetime
FROM stays s
LEFT JOIN stay_day d ON d.encounter_id = s.encounter_id
LATERAL VIEW stack(3, '1', s.diag_1, '2', s.diag_2, '3', s.diag_3) AS place, code
WHERE code IS NOT NULL
