-- The source's own code where CONCEPT knows it, else the standard one, else what was written.
SELECT e.condition_occurrence_id AS event_source_value,
       e.person_id AS person_source_value,
       e.visit_occurrence_id AS visit_source_value,
       coalesce(s.concept_code, c.concept_code, e.condition_source_value) AS condition_source_value,
       coalesce(s.vocabulary_id, c.vocabulary_id) AS condition_source_vocabulary,
       coalesce(s.concept_name, c.concept_name) AS condition_source_name,
       coalesce(e.condition_start_datetime, e.condition_start_date) AS condition_start_datetime,
       coalesce(e.condition_end_datetime, e.condition_end_date) AS condition_end_datetime
FROM condition_occurrence e
LEFT JOIN concept s ON s.concept_id = e.condition_source_concept_id AND s.concept_id <> '0'
LEFT JOIN concept c ON c.concept_id = e.condition_concept_id AND c.concept_id <> '0'
