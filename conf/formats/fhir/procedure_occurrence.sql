SELECT id AS event_source_value,
       regexp_extract(subject.reference, '([^/:#]+?)(?:/_history/[^/]*)?$', 1) AS person_source_value,
       code.coding[0].code AS procedure_source_value,
       code.coding[0].system AS procedure_source_vocabulary,
       coalesce(code.coding[0].display, code.text) AS procedure_source_name,
       coalesce(performedDateTime, performedPeriod.start) AS procedure_datetime,
       regexp_extract(encounter.reference, '([^/:#]+?)(?:/_history/[^/]*)?$', 1) AS visit_source_value
FROM Procedure
WHERE coalesce(status, '') NOT IN ('entered-in-error', 'not-done')
