-- Two results, told as ranges: '>8' is a number with an operator, 'Norm' is kept as text. 'None' means: not measured.
SELECT s.patient_nbr AS person_source_value,
       s.encounter_id AS visit_source_value,
       concat(s.encounter_id, '-', code) AS event_source_value,
       code AS measurement_source_value,
       'LOINC' AS measurement_source_vocabulary,
       name AS measurement_source_name,
       d.began AS measurement_datetime,
       value AS value_source_value,
       unit AS unit_source_value
FROM stays s
LEFT JOIN stay_day d ON d.encounter_id = s.encounter_id
LATERAL VIEW stack(2,
    '4548-4', 'haemoglobin A1c', s.A1Cresult,     '%',
    '2345-7', 'serum glucose',   s.max_glu_serum, 'mg/dL'
) AS code, name, value, unit
WHERE coalesce(value, 'None') <> 'None'
