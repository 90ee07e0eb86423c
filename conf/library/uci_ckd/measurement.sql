-- `bp` is one number and nobody says which of the two pressures it is: it keeps the data set's own code.
SELECT patient AS person_source_value, code AS measurement_source_value, vocabulary AS measurement_source_vocabulary,
       name AS measurement_source_name, '2015-07-03' AS measurement_datetime, value AS value_source_value,
       unit AS unit_source_value
FROM patient
LATERAL VIEW stack(11,
    'bp',      'uci-ckd', 'blood pressure',          bp,   'mm[Hg]',
    '2339-0',  'LOINC',   'blood glucose, random',   bgr,  'mg/dL',
    '3091-6',  'LOINC',   'blood urea',              bu,   'mg/dL',
    '2160-0',  'LOINC',   'serum creatinine',        sc,   'mg/dL',
    '2951-2',  'LOINC',   'sodium',                  sod,  'meq/L',
    '2823-3',  'LOINC',   'potassium',               pot,  'meq/L',
    '718-7',   'LOINC',   'haemoglobin',             hemo, 'g/dL',
    '20570-8', 'LOINC',   'packed cell volume',      pcv,  '%',
    '26464-8', 'LOINC',   'white blood cell count',  wbcc, '/uL',
    '26453-1', 'LOINC',   'red blood cell count',    rbcc, '10*6/uL',
    '2965-2',  'LOINC',   'specific gravity, urine', sg,   NULL
) AS code, vocabulary, name, value, unit
WHERE value IS NOT NULL
