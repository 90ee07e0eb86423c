SELECT concat_ws('|', 'raster', source, person_source_value, study, series) AS series_uid,
       min(concat_ws('|', 'raster', source, person_source_value, study)) AS study_uid,
       min(person_source_value) AS person_source_value,
       min(modality) AS modality,
       min(view_position) AS view_position,
       array() AS qc
FROM picture WHERE person_source_value IS NOT NULL
GROUP BY concat_ws('|', 'raster', source, person_source_value, study, series)
