-- One row per patient of the diabetes table. Measurements and the progression score carry the same date: the index time
-- is the end of that day. The score itself is an observation and never a feature.
WITH outcome AS (
  SELECT person_id,
         max(date_trunc('DAY', observation_datetime)) + INTERVAL 1 DAY AS index_at,
         max(value_as_number) AS progression
  FROM observation
  WHERE observation_source_vocabulary = 'diabetes' AND observation_source_value = 'progression'
  GROUP BY person_id
)
SELECT person_id,
       index_at,
       progression > (SELECT median(progression) FROM outcome) AS boolean_value
FROM outcome
