-- The table tells nothing about the patients themselves.
SELECT id AS person_source_value,
       0  AS gender_concept_id
FROM biopsies
