-- a finding counts from the first picture of the patient that shows it; "No Finding" is an observation
SELECT patientid AS person_source_value,
       concat_ws('|', patientid, finding) AS event_source_value,
       finding AS condition_source_value,
       'covid_cxr' AS condition_source_vocabulary,
       replace(finding, '/', ', ') AS condition_source_name,
       min(taken_at) AS condition_start_datetime
FROM dated WHERE finding IS NOT NULL AND lower(finding) NOT IN ('no finding', 'todo', 'unknown')
GROUP BY patientid, finding
