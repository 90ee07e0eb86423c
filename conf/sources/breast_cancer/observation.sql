SELECT id              AS person_source_value,
       'diagnosis'     AS observation_source_value,
       'breast_cancer' AS observation_source_vocabulary,
       'diagnosis of the biopsy' AS observation_source_name,
       diagnosed_on    AS observation_datetime,
       diagnosis       AS value_source_value
FROM biopsies
