-- A number, or any result of the laboratory or of vital signs: what the FHIR mapping calls a measurement too.
SELECT PATIENT     AS person_source_value,
       CODE        AS measurement_source_value,
       'LOINC'     AS measurement_source_vocabulary,
       DESCRIPTION AS measurement_source_name,
       DATE        AS measurement_datetime,
       VALUE       AS value_source_value,
       nullif(UNITS, 'n/a') AS unit_source_value,
       ENCOUNTER   AS visit_source_value
FROM observations
WHERE lower(TYPE) = 'numeric' OR CATEGORY IN ('laboratory', 'vital-signs')
