SELECT patient AS person_source_value, code AS condition_source_value, 'SNOMED' AS condition_source_vocabulary,
       name AS condition_source_name, '2015-07-03' AS condition_start_datetime
FROM patient
LATERAL VIEW stack(6,
    '709044004', 'Chronic kidney disease', CASE classification WHEN 'ckd' THEN 'yes' END,
    '38341003',  'Hypertensive disorder',  htn,
    '73211009',  'Diabetes mellitus',      dm,
    '53741008',  'Coronary arteriosclerosis', cad,
    '102572006', 'Oedema of foot',         pe,
    '271737000', 'Anaemia',                ane
) AS code, name, said
WHERE said = 'yes'
