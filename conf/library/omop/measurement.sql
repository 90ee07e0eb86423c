-- The source's own code where CONCEPT knows it, else the standard one, else what was written.
SELECT e.measurement_id AS event_source_value,
       e.person_id AS person_source_value,
       e.visit_occurrence_id AS visit_source_value,
       coalesce(s.concept_code, c.concept_code, e.measurement_source_value) AS measurement_source_value,
       coalesce(s.vocabulary_id, c.vocabulary_id) AS measurement_source_vocabulary,
       coalesce(s.concept_name, c.concept_name) AS measurement_source_name,
       coalesce(e.measurement_datetime, e.measurement_date) AS measurement_datetime,
       coalesce(concat(CASE e.operator_concept_id WHEN '4171756' THEN '<' WHEN '4171754' THEN '<=' WHEN '4172704' THEN '>'
                            WHEN '4171755' THEN '>=' ELSE '' END, e.value_as_number),
                v.concept_name, e.value_source_value) AS value_source_value,
       coalesce(u.concept_code, e.unit_source_value) AS unit_source_value
FROM measurement e
LEFT JOIN concept s ON s.concept_id = e.measurement_source_concept_id AND s.concept_id <> '0'
LEFT JOIN concept c ON c.concept_id = e.measurement_concept_id AND c.concept_id <> '0'
LEFT JOIN concept u ON u.concept_id = e.unit_concept_id AND u.vocabulary_id = 'UCUM'
LEFT JOIN concept v ON v.concept_id = e.value_as_concept_id AND v.concept_id <> '0'
