SELECT p.subject_id AS person_source_value, try_to_timestamp(p.dod) - a.moved AS death_datetime
FROM patients p LEFT JOIN anchor a ON a.subject_id = p.subject_id
WHERE p.dod IS NOT NULL
