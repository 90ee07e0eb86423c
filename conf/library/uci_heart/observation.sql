SELECT patient AS person_source_value, code AS observation_source_value, 'uci-heart' AS observation_source_vocabulary,
       name AS observation_source_name, '1988-07-01' AS observation_datetime, value AS value_source_value
FROM patient
LATERAL VIEW stack(7,
    'cp',      'chest pain: 1 typical angina, 2 atypical, 3 not anginal, 4 none',   cp,
    'fbs',     'fasting blood sugar above 120 mg/dL: 1 yes, 0 no',                 fbs,
    'restecg', 'resting ECG: 0 normal, 1 ST-T abnormal, 2 hypertrophy',             restecg,
    'exang',   'angina by exercise: 1 yes, 0 no',                                   exang,
    'slope',   'slope of the ST segment at peak: 1 up, 2 flat, 3 down',             slope,
    'thal',    'thallium scan: 3 normal, 6 fixed defect, 7 reversible defect',      thal,
    'num',     'angiography: 0 below 50 % narrowing, 1 to 4 above',                 num
) AS code, name, value
WHERE value IS NOT NULL
