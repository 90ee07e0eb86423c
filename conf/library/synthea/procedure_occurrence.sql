SELECT PATIENT     AS person_source_value,
       CODE        AS procedure_source_value,
       'SNOMED'    AS procedure_source_vocabulary,
       DESCRIPTION AS procedure_source_name,
       START       AS procedure_datetime,
       ENCOUNTER   AS visit_source_value
FROM procedures
