SELECT visit_occurrence_id AS visit_source_value,
       person_id AS person_source_value,
       visit_concept_id,
       coalesce(visit_start_datetime, visit_start_date) AS visit_start_datetime,
       coalesce(visit_end_datetime, visit_end_date) AS visit_end_datetime
FROM visit_occurrence
