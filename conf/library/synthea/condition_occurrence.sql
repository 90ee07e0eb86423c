SELECT PATIENT     AS person_source_value,
       CODE        AS condition_source_value,
       'SNOMED'    AS condition_source_vocabulary,
       DESCRIPTION AS condition_source_name,
       START       AS condition_start_datetime,
       STOP        AS condition_end_datetime,
       ENCOUNTER   AS visit_source_value
FROM conditions
