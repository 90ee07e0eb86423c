SELECT patient AS person_source_value, '53741008' AS condition_source_value, 'SNOMED' AS condition_source_vocabulary,
       'Coronary arteriosclerosis' AS condition_source_name, '1988-07-01' AS condition_start_datetime
FROM patient WHERE try_cast(num AS DOUBLE) > 0
