-- prescribed drugs and given vaccines
SELECT PATIENT     AS person_source_value,
       CODE        AS drug_source_value,
       'RxNorm'    AS drug_source_vocabulary,
       DESCRIPTION AS drug_source_name,
       START       AS drug_exposure_start_datetime,
       STOP        AS drug_exposure_end_datetime,
       ENCOUNTER   AS visit_source_value,
       DISPENSES   AS quantity
FROM medications
UNION ALL
SELECT PATIENT, CODE, 'CVX', DESCRIPTION, DATE, CAST(NULL AS STRING), ENCOUNTER, CAST(NULL AS STRING)
FROM immunizations
