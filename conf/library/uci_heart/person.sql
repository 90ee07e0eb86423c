SELECT patient AS person_source_value,
       CASE try_cast(sex AS INT) WHEN 1 THEN 8507 WHEN 0 THEN 8532 ELSE 0 END AS gender_concept_id,
       sex AS gender_source_value,
       1988 - try_cast(try_cast(age AS DOUBLE) AS INT) AS year_of_birth
FROM patient
