-- What was not measured has no row. Some hospitals wrote 0 for an unknown cholesterol or pressure: it is kept, and flagged by its range.
SELECT patient AS person_source_value, code AS measurement_source_value, vocabulary AS measurement_source_vocabulary,
       name AS measurement_source_name, '1988-07-01' AS measurement_datetime, value AS value_source_value,
       unit AS unit_source_value
FROM patient
LATERAL VIEW stack(5,
    'trestbps', 'uci-heart', 'resting blood pressure on admission',       trestbps, 'mm[Hg]',
    '2093-3',   'LOINC',     'serum cholesterol',                          chol,     'mg/dL',
    'thalach',  'uci-heart', 'maximum heart rate achieved',                thalach,  '/min',
    'oldpeak',  'uci-heart', 'ST depression by exercise relative to rest', oldpeak,  NULL,
    'ca',       'uci-heart', 'major vessels coloured by fluoroscopy',      ca,       NULL
) AS code, vocabulary, name, value, unit
WHERE value IS NOT NULL
