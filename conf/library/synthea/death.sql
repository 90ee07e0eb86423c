SELECT Id        AS person_source_value,
       DEATHDATE AS death_datetime
FROM patients
WHERE DEATHDATE IS NOT NULL
