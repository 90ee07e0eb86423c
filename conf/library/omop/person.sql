SELECT person_id AS person_source_value,
       gender_concept_id,
       gender_source_value,
       year_of_birth,
       to_date(try_to_timestamp(birth_datetime)) AS birth_date,
       race_source_value,
       ethnicity_source_value,
       person_source_value AS other_id
FROM person
