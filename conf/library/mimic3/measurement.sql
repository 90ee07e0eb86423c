-- `value` is what the laboratory wrote; `valuenum` stands in where it is lacking.
SELECT l.row_id AS event_source_value,
       l.subject_id AS person_source_value,
       l.hadm_id AS visit_source_value,
       coalesce(i.loinc_code, l.itemid) AS measurement_source_value,
       CASE WHEN i.loinc_code IS NULL THEN 'MIMIC' ELSE 'LOINC' END AS measurement_source_vocabulary,
       i.label AS measurement_source_name,
       try_to_timestamp(l.charttime) - a.moved AS measurement_datetime,
       coalesce(l.value, l.valuenum) AS value_source_value,
       l.valueuom AS unit_source_value,
       l.flag AS flag_source_value
FROM labevents l
LEFT JOIN d_labitems i ON i.itemid = l.itemid
LEFT JOIN anchor a ON a.subject_id = l.subject_id
