-- what the record system tells of a study: its numbers, its visit and its procedure; the pictures themselves come as DICOM
SELECT regexp_replace(coalesce(
           filter(identifier, i -> i.system = 'urn:dicom:uid')[0].value,
           filter(identifier, i -> i.value RLIKE '^(urn:oid:)?[0-9.]+[.][0-9.]+$')[0].value), '^urn:oid:', '') AS study_uid,
       filter(identifier, i -> exists(i.type.coding, c -> c.code = 'ACSN'))[0].value AS accession,
       regexp_extract(subject.reference, '([^/:#]+?)(?:/_history/[^/]*)?$', 1) AS person_source_value,
       regexp_extract(encounter.reference, '([^/:#]+?)(?:/_history/[^/]*)?$', 1) AS visit_source_value,
       regexp_extract(procedureReference.reference, '([^/:#]+?)(?:/_history/[^/]*)?$', 1) AS procedure_source_value
FROM ImagingStudy
WHERE coalesce(status, '') <> 'entered-in-error'
