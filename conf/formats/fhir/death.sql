-- somebody who died on an unknown day is set aside: OMOP has no death without a date
SELECT id AS person_source_value, deceasedDateTime AS death_datetime
FROM Patient
WHERE deceasedDateTime IS NOT NULL OR deceasedBoolean = 'true'
