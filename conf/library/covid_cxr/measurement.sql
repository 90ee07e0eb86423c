SELECT patientid AS person_source_value, concat_ws('|', filename, code) AS event_source_value,
       code AS measurement_source_value, 'LOINC' AS measurement_source_vocabulary, name AS measurement_source_name,
       taken_at AS measurement_datetime, value AS value_source_value, unit AS unit_source_value
FROM dated
LATERAL VIEW stack(5,
    '8310-5',  'body temperature',       temperature,       'Cel',
    '59408-5', 'oxygen saturation',      pO2_saturation,    '%',
    '26464-8', 'white blood cell count', leukocyte_count,   '10*3/uL',
    '26499-4', 'neutrophils',            neutrophil_count,  '10*3/uL',
    '26474-7', 'lymphocytes',            lymphocyte_count,  '10*3/uL'
) AS code, name, value, unit
WHERE value IS NOT NULL
