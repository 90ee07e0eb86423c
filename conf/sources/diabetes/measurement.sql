SELECT patient     AS person_source_value,
       code        AS measurement_source_value,
       'diabetes'  AS measurement_source_vocabulary,
       name        AS measurement_source_name,
       baseline_on AS measurement_datetime,
       value       AS value_source_value,
       unit        AS unit_source_value
FROM baseline
LATERAL VIEW stack(10,
    'age', 'age at baseline',                                age, 'a',
    'sex', 'sex, coded 1 or 2',                              sex, NULL,
    'bmi', 'body mass index',                                bmi, 'kg/m2',
    'bp',  'mean arterial blood pressure',                   bp,  'mm[Hg]',
    'tc',  'total serum cholesterol',                        tc,  'mg/dL',
    'ldl', 'low-density lipoproteins',                       ldl, 'mg/dL',
    'hdl', 'high-density lipoproteins',                      hdl, 'mg/dL',
    'tch', 'total cholesterol divided by HDL',               tch, NULL,
    'ltg', 'logarithm of the serum triglycerides',           ltg, NULL,
    'glu', 'blood sugar level',                              glu, 'mg/dL'
) AS code, name, value, unit
