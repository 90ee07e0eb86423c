-- One row per patient of the breast-cancer table. The measurements carry the date of the diagnosis: the index time is the
-- end of that day. The diagnosis itself is an observation and never a feature.
SELECT person_id,
       max(date_trunc('DAY', observation_datetime)) + INTERVAL 1 DAY AS index_at,
       bool_or(lower(value_as_string) = 'malignant') AS boolean_value
FROM observation
WHERE observation_source_vocabulary = 'breast_cancer' AND observation_source_value = 'diagnosis'
GROUP BY person_id
