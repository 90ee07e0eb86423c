SELECT s.encounter_id AS visit_source_value,
       s.patient_nbr AS person_source_value,
       d.began AS visit_start_datetime,
       d.began + make_dt_interval(try_cast(s.time_in_hospital AS INT)) AS visit_end_datetime,
       9201 AS visit_concept_id,
       t.description AS visit_type_source_value
FROM stays s
LEFT JOIN stay_day d ON d.encounter_id = s.encounter_id
LEFT JOIN admission_type t ON t.admission_type_id = s.admission_type_id
