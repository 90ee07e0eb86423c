SELECT id AS visit_source_value,
       regexp_extract(subject.reference, '([^/:#]+?)(?:/_history/[^/]*)?$', 1) AS person_source_value,
       period.start AS visit_start_datetime,
       period.end AS visit_end_datetime,
       CASE class.code WHEN 'IMP' THEN 9201 WHEN 'ACUTE' THEN 9201 WHEN 'NONAC' THEN 9201 WHEN 'EMER' THEN 9203
                       WHEN 'AMB' THEN 9202 WHEN 'HH' THEN 581476 WHEN 'VR' THEN 5083 ELSE 0 END AS visit_concept_id,
       coalesce(type[0].text, type[0].coding[0].display) AS visit_type_source_value,
       reasonCode[0].coding[0].code AS reason_source_value,
       coalesce(reasonCode[0].text, reasonCode[0].coding[0].display) AS reason_source_name
FROM Encounter
WHERE coalesce(status, '') <> 'entered-in-error'
