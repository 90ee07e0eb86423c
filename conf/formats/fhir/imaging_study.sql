-- the order behind a study; the pictures themselves come as DICOM
SELECT regexp_replace(coalesce(filter(identifier, i -> i.system = 'urn:dicom:uid')[0].value, identifier[0].value), '^urn:oid:', '') AS study_uid,
       regexp_extract(subject.reference, '([^/:#]+?)(?:/_history/[^/]*)?$', 1) AS person_source_value,
       regexp_extract(encounter.reference, '([^/:#]+?)(?:/_history/[^/]*)?$', 1) AS visit_source_value
FROM ImagingStudy
