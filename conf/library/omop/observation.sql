-- The source's own code where CONCEPT knows it, else the standard one, else what was written.
SELECT e.observation_id AS event_source_value,
       e.person_id AS person_source_value,
       e.visit_occurrence_id AS visit_source_value,
       coalesce(s.concept_code, c.concept_code, e.observation_source_value) AS observation_source_value,
       coalesce(s.vocabulary_id, c.vocabulary_id) AS observation_source_vocabulary,
       coalesce(s.concept_name, c.concept_name) AS observation_source_name,
       coalesce(e.observation_datetime, e.observation_date) AS observation_datetime,
       coalesce(e.value_as_number, e.value_as_string, v.concept_name) AS value_source_value,
       e.unit_source_value AS unit_source_value
FROM observation e
LEFT JOIN concept s ON s.concept_id = e.observation_source_concept_id AND s.concept_id <> '0'
LEFT JOIN concept c ON c.concept_id = e.observation_concept_id AND c.concept_id <> '0'
LEFT JOIN concept v ON v.concept_id = e.value_as_concept_id AND v.concept_id <> '0'
