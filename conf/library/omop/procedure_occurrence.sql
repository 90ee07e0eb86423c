-- The source's own code where CONCEPT knows it, else the standard one, else what was written.
SELECT e.procedure_occurrence_id AS event_source_value,
       e.person_id AS person_source_value,
       e.visit_occurrence_id AS visit_source_value,
       coalesce(s.concept_code, c.concept_code, e.procedure_source_value) AS procedure_source_value,
       coalesce(s.vocabulary_id, c.vocabulary_id) AS procedure_source_vocabulary,
       coalesce(s.concept_name, c.concept_name) AS procedure_source_name,
       coalesce(e.procedure_datetime, e.procedure_date) AS procedure_datetime
FROM procedure_occurrence e
LEFT JOIN concept s ON s.concept_id = e.procedure_source_concept_id AND s.concept_id <> '0'
LEFT JOIN concept c ON c.concept_id = e.procedure_concept_id AND c.concept_id <> '0'
