-- Age is given in tens, at each stay; the middle of the ten at the first stay stands for the age in 1999.
SELECT s.patient_nbr AS person_source_value,
       CASE s.gender WHEN 'Male' THEN 8507 WHEN 'Female' THEN 8532 ELSE 0 END AS gender_concept_id,
       s.gender AS gender_source_value,
       s.race AS race_source_value,
       1999 - 5 - try_cast(regexp_extract(s.age, '([0-9]+)-', 1) AS INT) AS year_of_birth
FROM stays s JOIN stay_day d ON d.encounter_id = s.encounter_id
WHERE d.began = TIMESTAMP'1999-01-01 00:00:00'
