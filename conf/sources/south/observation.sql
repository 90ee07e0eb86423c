-- Whatever is not reported as a number; a row without a type counts as text.
SELECT PATIENT     AS person_source_value,
       CODE        AS observation_source_value,
       'LOINC'     AS observation_source_vocabulary,
       DESCRIPTION AS observation_source_name,
       DATE        AS observation_datetime,
       VALUE       AS value_source_value,
       UNITS       AS unit_source_value,
       ENCOUNTER   AS visit_source_value,
       ID          AS event_source_value
FROM observations
WHERE TYPE IS NULL OR lower(TYPE) <> 'numeric'
