SELECT id AS event_source_value,
       regexp_extract(subject.reference, '([^/:]+)$', 1) AS person_source_value,
       decode(try_to_binary(content[0].attachment.data, 'base64'), 'UTF-8') AS note_text,
       coalesce(type.text, type.coding[0].display) AS note_title,
       type.coding[0].code AS note_class_source_value,
       coalesce(context.period.start, date) AS note_datetime,
       regexp_extract(context.encounter[0].reference, '([^/:]+)$', 1) AS visit_source_value
FROM DocumentReference
WHERE coalesce(status, '') <> 'entered-in-error' AND startswith(content[0].attachment.contentType, 'text/plain')
