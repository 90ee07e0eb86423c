SELECT id AS event_source_value,
       regexp_extract(subject.reference, '([^/:#]+?)(?:/_history/[^/]*)?$', 1) AS person_source_value,
       code.coding[0].code AS condition_source_value,
       code.coding[0].system AS condition_source_vocabulary,
       coalesce(code.coding[0].display, code.text) AS condition_source_name,
       coalesce(onsetDateTime, onsetPeriod.start, recordedDate) AS condition_start_datetime,
       coalesce(abatementDateTime, abatementPeriod.end) AS condition_end_datetime,
       regexp_extract(encounter.reference, '([^/:#]+?)(?:/_history/[^/]*)?$', 1) AS visit_source_value
FROM Condition
WHERE coalesce(verificationStatus.coding[0].code, '') <> 'entered-in-error'
