SELECT concat_ws('|', 'raster', source, person_source_value, study) AS study_uid,
       min(person_source_value) AS person_source_value,
       min(visit_source_value) AS visit_source_value,
       min(taken_at) AS study_at,
       array_sort(collect_set(modality)) AS modalities,
       min(description) AS description,
       count(DISTINCT series) AS n_series,
       count(DISTINCT image) AS n_instances,
       sum(byte_size) AS size_bytes,
       array('burned_in_risk') AS qc
FROM picture WHERE person_source_value IS NOT NULL
GROUP BY concat_ws('|', 'raster', source, person_source_value, study)
