SELECT patientid AS person_source_value, concat_ws('|', filename, code) AS event_source_value,
       code AS observation_source_value, 'covid_cxr' AS observation_source_vocabulary, name AS observation_source_name,
       taken_at AS observation_datetime, value AS value_source_value
FROM dated
LATERAL VIEW stack(6,
    'finding',                'picture without finding',    CASE WHEN lower(finding) = 'no finding' THEN finding END,
    'survival',               'survived',                   survival,
    'intubated',              'intubated at some time',     intubated,
    'went_icu',               'intensive care at some time', went_icu,
    'needed_supplemental_O2', 'needed oxygen',              needed_supplemental_O2,
    'view',                   'projection of the picture',  view
) AS code, name, value
WHERE value IS NOT NULL
