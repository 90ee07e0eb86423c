-- 11, 19, 20 and 21 are the dispositions that say "Expired".
SELECT s.patient_nbr AS person_source_value,
       d.began + make_dt_interval(try_cast(s.time_in_hospital AS INT)) AS death_datetime
FROM stays s
LEFT JOIN stay_day d ON d.encounter_id = s.encounter_id
LEFT JOIN discharge_disposition x ON x.discharge_disposition_id = s.discharge_disposition_id
WHERE x.description LIKE 'Expired%'
