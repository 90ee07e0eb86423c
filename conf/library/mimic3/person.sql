-- Who was older than 89 has a birth date 300 years before the first admission: the date is no date, the age is "90 or over".
SELECT p.subject_id AS person_source_value,
       CASE p.gender WHEN 'M' THEN 8507 WHEN 'F' THEN 8532 ELSE 0 END AS gender_concept_id,
       p.gender AS gender_source_value,
       a.ethnicity AS race_source_value,
       CASE WHEN year(a.first_at) - year(try_to_timestamp(p.dob)) > 150 THEN year(a.first_at - a.moved) - 90
            ELSE year(try_to_timestamp(p.dob) - a.moved) END AS year_of_birth,
       CASE WHEN year(a.first_at) - year(try_to_timestamp(p.dob)) <= 150
            THEN to_date(try_to_timestamp(p.dob) - a.moved) END AS birth_date
FROM patients p LEFT JOIN anchor a ON a.subject_id = p.subject_id
