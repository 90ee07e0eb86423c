SELECT person_id AS person_source_value, coalesce(death_datetime, death_date) AS death_datetime, cause_source_value
FROM death
