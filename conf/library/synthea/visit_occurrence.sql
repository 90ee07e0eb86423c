SELECT Id                AS visit_source_value,
       PATIENT           AS person_source_value,
       START             AS visit_start_datetime,
       STOP              AS visit_end_datetime,
       CASE WHEN lower(ENCOUNTERCLASS) IN ('inpatient', 'snf', 'hospice') THEN 9201
            WHEN lower(ENCOUNTERCLASS) = 'emergency' THEN 9203
            WHEN lower(ENCOUNTERCLASS) IN ('ambulatory', 'outpatient', 'wellness', 'urgentcare') THEN 9202
            WHEN lower(ENCOUNTERCLASS) = 'home' THEN 581476
            WHEN lower(ENCOUNTERCLASS) = 'virtual' THEN 5083
            ELSE 0 END   AS visit_concept_id,
       DESCRIPTION       AS visit_type_source_value,
       REASONCODE        AS reason_source_value,
       REASONDESCRIPTION AS reason_source_name
FROM encounters
