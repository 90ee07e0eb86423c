-- One row per patient with a visit. The index time is the end of the day of the last visit that leaves a year of
-- follow-up, that is, lies at least 365 days before the patient's last recorded visit; the outcome is looked for in the
-- 365 days after it. Patients without such a visit have no known outcome yet: they are looked at from the end of the
-- day of their last visit, to be scored.
WITH visit AS (
  SELECT person_id,
         visit_concept_id,
         visit_start_datetime AS start_at,
         date_trunc('DAY', greatest(visit_start_datetime, coalesce(visit_end_datetime, visit_start_datetime)))
           + INTERVAL 1 DAY AS day_end_at
  FROM visit_occurrence
),
followed AS (
  SELECT *, max(start_at) OVER (PARTITION BY person_id) AS last_start_at FROM visit
),
indexed AS (
  SELECT person_id,
         max(day_end_at) FILTER (WHERE day_end_at <= last_start_at - INTERVAL 365 DAYS) AS followed_up_at,
         max(day_end_at) AS last_at
  FROM followed
  GROUP BY person_id
)
SELECT i.person_id,
       coalesce(any_value(i.followed_up_at), any_value(i.last_at)) AS index_at,
       CASE WHEN any_value(i.followed_up_at) IS NOT NULL
            THEN coalesce(bool_or(v.start_at >= i.followed_up_at
                                  AND v.start_at < i.followed_up_at + INTERVAL 365 DAYS
                                  AND v.visit_concept_id IN (9201, 9203)), false)  -- inpatient, emergency
       END AS boolean_value
FROM indexed i
JOIN visit v ON v.person_id = i.person_id
GROUP BY i.person_id
