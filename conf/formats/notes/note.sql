SELECT person_source_value, note_text, note_title, to_timestamp(note_date, 'yyyyMMdd') AS note_datetime
FROM note_document
