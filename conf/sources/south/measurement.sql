-- A result that the clinic reports as a number. ID is the clinic's key of the result.
SELECT PATIENT     AS person_source_value,
       CODE        AS measurement_source_value,
       'LOINC'     AS measurement_source_vocabulary,
       DESCRIPTION AS measurement_source_name,
       DATE        AS measurement_datetime,
       VALUE       AS value_source_value,
       UNITS       AS unit_source_value,
       ENCOUNTER   AS visit_source_value,
       ID          AS event_source_value
FROM observations
WHERE lower(TYPE) = 'numeric'
