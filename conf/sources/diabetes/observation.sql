SELECT patient        AS person_source_value,
       'progression'  AS observation_source_value,
       'diabetes'     AS observation_source_vocabulary,
       'disease progression one year after baseline' AS observation_source_name,
       followed_up_on AS observation_datetime,
       progression    AS value_source_value
FROM baseline
