SELECT concat_ws('|', 'raster', source, person_source_value, study, series) AS series_uid,
       min(concat_ws('|', 'raster', source, person_source_value, study)) AS study_uid,
       min(person_source_value) AS person_source_value,
       min(taken_at) AS series_at,
       min(modality) AS modality,
       min(body_part) AS body_part,
       min(laterality) AS laterality,
       min(description) AS description,
       count(DISTINCT image) AS n_instances,
       sum(n_frames) AS n_frames,
       sum(byte_size) AS size_bytes,
       array('burned_in_risk') AS qc
FROM picture WHERE person_source_value IS NOT NULL
GROUP BY concat_ws('|', 'raster', source, person_source_value, study, series)
