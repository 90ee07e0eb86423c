-- Given at the stay, whether the dose stayed, rose or fell; the data set names substances and has no codes.
SELECT s.patient_nbr AS person_source_value,
       s.encounter_id AS visit_source_value,
       concat(s.encounter_id, '-', drug) AS event_source_value,
       drug AS drug_source_value,
       'diabetes130' AS drug_source_vocabulary,
       drug AS drug_source_name,
       d.began AS drug_exposure_start_datetime
FROM stays s
LEFT JOIN stay_day d ON d.encounter_id = s.encounter_id
LATERAL VIEW stack(23,
    'metformin', s.metformin, 'repaglinide', s.repaglinide, 'nateglinide', s.nateglinide,
    'chlorpropamide', s.chlorpropamide, 'glimepiride', s.glimepiride, 'acetohexamide', s.acetohexamide,
    'glipizide', s.glipizide, 'glyburide', s.glyburide, 'tolbutamide', s.tolbutamide,
    'pioglitazone', s.pioglitazone, 'rosiglitazone', s.rosiglitazone, 'acarbose', s.acarbose,
    'miglitol', s.miglitol, 'troglitazone', s.troglitazone, 'tolazamide', s.tolazamide,
    'examide', s.examide, 'citoglipton', s.citoglipton, 'insulin', s.insulin,
    'glyburide-metformin', s.`glyburide-metformin`, 'glipizide-metformin', s.`glipizide-metformin`, 'glimepiride-pioglitazone', s.`glimepiride-pioglitazone`,
    'metformin-rosiglitazone', s.`metformin-rosiglitazone`, 'metformin-pioglitazone', s.`metformin-pioglitazone`) AS drug, said
WHERE said IN ('Steady', 'Up', 'Down')
