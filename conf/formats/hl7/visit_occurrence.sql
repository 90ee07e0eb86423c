-- patient classes of HL7 table 0004
SELECT visit_source_value, person_source_value,
       started_at AS visit_start_datetime,
       ended_at AS visit_end_datetime,
       CASE f2[0].c1 WHEN 'I' THEN 9201 WHEN 'B' THEN 9201 WHEN 'E' THEN 9203 WHEN 'O' THEN 9202 WHEN 'R' THEN 9202 ELSE 0 END AS visit_concept_id,
       f2[0].c1 AS visit_type_source_value
FROM PV1
