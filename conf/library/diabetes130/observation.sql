SELECT s.patient_nbr AS person_source_value,
       s.encounter_id AS visit_source_value,
       concat(s.encounter_id, '-', code) AS event_source_value,
       code AS observation_source_value,
       'diabetes130' AS observation_source_vocabulary,
       name AS observation_source_name,
       d.began AS observation_datetime,
       value AS value_source_value
FROM stays s
LEFT JOIN stay_day d ON d.encounter_id = s.encounter_id
LATERAL VIEW stack(9,
    'num_lab_procedures', 'laboratory tests at the stay',         s.num_lab_procedures,
    'num_procedures',     'procedures at the stay',               s.num_procedures,
    'num_medications',    'drugs given at the stay',              s.num_medications,
    'number_outpatient',  'outpatient visits, year before',       s.number_outpatient,
    'number_emergency',   'emergency visits, year before',        s.number_emergency,
    'number_inpatient',   'inpatient stays, year before',         s.number_inpatient,
    'weight',             'weight in pounds, by 25',                 s.weight,
    'change',             'diabetes drugs changed: Ch or No',     s.change,
    'readmitted',         'readmitted: <30 days, >30 days or NO', s.readmitted
) AS code, name, value
WHERE value IS NOT NULL
