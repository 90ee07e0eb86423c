SELECT person_source_value, note_text, note_title,
       coalesce(CAST(to_timestamp(note_date, 'yyyyMMdd') AS STRING), note_date) AS note_datetime
FROM note_document
