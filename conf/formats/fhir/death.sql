SELECT id AS person_source_value, deceasedDateTime AS death_datetime
FROM Patient
WHERE deceasedDateTime IS NOT NULL
