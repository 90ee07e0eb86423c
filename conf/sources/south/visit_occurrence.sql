SELECT ID                AS visit_source_value,
       PATIENT           AS person_source_value,
       START             AS visit_start_datetime,
       STOP              AS visit_end_datetime,
       CASE lower(ENCOUNTERCLASS)
            WHEN 'inpatient'  THEN 9201
            WHEN 'snf'        THEN 9201
            WHEN 'hospice'    THEN 9201
            WHEN 'emergency'  THEN 9203
            WHEN 'ambulatory' THEN 9202
            WHEN 'outpatient' THEN 9202
            WHEN 'wellness'   THEN 9202
            WHEN 'urgentcare' THEN 9202
            WHEN 'virtual'    THEN 9202
            WHEN 'home'       THEN 9202
            ELSE 0 END       AS visit_concept_id,
       ENCOUNTERCLASS    AS visit_type_source_value,
       DEPARTMENT        AS care_site_name,
       REASONCODE        AS reason_source_value,
       REASONDESCRIPTION AS reason_source_name
FROM encounters
