-- One row per patient with a visit, seen from the end of the day of the last visit.
SELECT person_id,
       max(date_trunc('DAY', greatest(visit_start_datetime, coalesce(visit_end_datetime, visit_start_datetime))))
         + INTERVAL 1 DAY AS index_at,
       CAST(NULL AS BOOLEAN) AS boolean_value
FROM visit_occurrence
GROUP BY person_id
