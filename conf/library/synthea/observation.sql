SELECT PATIENT     AS person_source_value,
       CODE        AS observation_source_value,
       'LOINC'     AS observation_source_vocabulary,
       DESCRIPTION AS observation_source_name,
       DATE        AS observation_datetime,
       VALUE       AS value_source_value,
       nullif(UNITS, 'n/a') AS unit_source_value,
       ENCOUNTER   AS visit_source_value
FROM observations
WHERE NOT (coalesce(lower(TYPE), '') = 'numeric' OR coalesce(CATEGORY, '') IN ('laboratory', 'vital-signs'))
