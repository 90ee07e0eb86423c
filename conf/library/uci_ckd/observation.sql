SELECT patient AS person_source_value, code AS observation_source_value, 'uci-ckd' AS observation_source_vocabulary,
       name AS observation_source_name, '2015-07-03' AS observation_datetime, value AS value_source_value
FROM patient
LATERAL VIEW stack(8,
    'al',             'albumin in urine, grade 0 to 5',     al,
    'su',             'sugar in urine, grade 0 to 5',       su,
    'rbc',            'red blood cells in urine',           rbc,
    'pc',             'pus cells in urine',                 pc,
    'pcc',            'pus cell clumps in urine',           pcc,
    'ba',             'bacteria in urine',                  ba,
    'appet',          'appetite',                           appet,
    'classification', 'chronic kidney disease or not',      classification
) AS code, name, value
WHERE value IS NOT NULL
