SELECT id AS event_source_value,
       regexp_extract(subject.reference, '([^/:#]+?)(?:/_history/[^/]*)?$', 1) AS person_source_value,
       type.coding[0].code AS specimen_source_value,
       type.coding[0].system AS specimen_source_vocabulary,
       coalesce(type.coding[0].display, type.text) AS specimen_source_name,
       coalesce(collection.collectedDateTime, collection.collectedPeriod.start, receivedTime) AS specimen_datetime,
       collection.quantity.value AS quantity,
       coalesce(collection.quantity.code, collection.quantity.unit) AS unit_source_value,
       coalesce(collection.bodySite.text, collection.bodySite.coding[0].display, collection.bodySite.coding[0].code) AS anatomic_site_source_value,
       coalesce(accessionIdentifier.value, identifier[0].value) AS specimen_source_id
FROM Specimen
WHERE coalesce(status, '') <> 'entered-in-error'
