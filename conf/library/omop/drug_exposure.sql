-- The source's own code where CONCEPT knows it, else the standard one, else what was written.
SELECT e.drug_exposure_id AS event_source_value,
       e.person_id AS person_source_value,
       e.visit_occurrence_id AS visit_source_value,
       coalesce(s.concept_code, c.concept_code, e.drug_source_value) AS drug_source_value,
       coalesce(s.vocabulary_id, c.vocabulary_id) AS drug_source_vocabulary,
       coalesce(s.concept_name, c.concept_name) AS drug_source_name,
       coalesce(e.drug_exposure_start_datetime, e.drug_exposure_start_date) AS drug_exposure_start_datetime,
       coalesce(e.drug_exposure_end_datetime, e.drug_exposure_end_date) AS drug_exposure_end_datetime,
       e.quantity AS quantity
FROM drug_exposure e
LEFT JOIN concept s ON s.concept_id = e.drug_source_concept_id AND s.concept_id <> '0'
LEFT JOIN concept c ON c.concept_id = e.drug_concept_id AND c.concept_id <> '0'
