-- one picture; UIDs are made of what names it, and are replaced like any other. A picture says nothing about writing in it.
SELECT concat_ws('|', 'raster', source, person_source_value, image) AS sop_instance_uid,
       concat_ws('|', 'raster', source, person_source_value, study) AS study_uid,
       concat_ws('|', 'raster', source, person_source_value, study, series) AS series_uid,
       person_source_value,
       n_frames,
       height AS n_rows,
       width AS n_columns,
       bit_depth AS bits_stored,
       CASE WHEN mode IN ('RGB', 'RGBA', 'CMYK', 'YCbCr', 'LAB', 'HSV') THEN 'RGB' WHEN mode IN ('P', 'PA') THEN 'PALETTE COLOR'
            ELSE 'MONOCHROME2' END AS photometric_interpretation,
       true AS has_pixels,
       byte_size AS size_bytes,
       array_compact(array('burned_in_risk', CASE WHEN extension_differs THEN 'extension_differs' END)) AS qc
FROM picture
