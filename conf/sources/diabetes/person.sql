-- Sex is coded 1 and 2 and no source says which is which: the code is kept, the concept stays unknown.
SELECT patient                                      AS person_source_value,
       0                                            AS gender_concept_id,
       sex                                          AS gender_source_value,
       year(baseline_on) - CAST(age AS INT)         AS year_of_birth
FROM baseline
