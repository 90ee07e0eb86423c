SELECT patientid AS person_source_value,
       CASE min(sex) WHEN 'M' THEN 8507 WHEN 'F' THEN 8532 ELSE 0 END AS gender_concept_id,
       min(sex) AS gender_source_value,
       CAST(min(year(taken_at) - try_cast(age AS DOUBLE)) AS INT) AS year_of_birth
FROM dated WHERE patientid IS NOT NULL
GROUP BY patientid
