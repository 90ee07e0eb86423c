SELECT patient AS person_source_value, 0 AS gender_concept_id,
       2015 - try_cast(try_cast(age AS DOUBLE) AS INT) AS year_of_birth
FROM patient
