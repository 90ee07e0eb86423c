SELECT concat_ws('#', 'DG1', visit_source_value, coalesce(f3[0].c1, f3[0].c4, f3[0].c2), f6[0].c1, CASE WHEN nth > 1 THEN nth END) AS event_source_value,
       person_source_value, visit_source_value,
       coalesce(f3[0].c1, f3[0].c4, f3[0].c2, f4[0].c1) AS condition_source_value,
       CASE coalesce(f3[0].c3, f2[0].c1)
           WHEN 'I10' THEN 'ICD10' WHEN 'I10C' THEN 'ICD10CM' WHEN '10' THEN 'ICD10CM' WHEN 'I9' THEN 'ICD9CM' WHEN 'I9C' THEN 'ICD9CM'
           WHEN '9' THEN 'ICD9CM' WHEN 'SCT' THEN 'SNOMED' WHEN 'LN' THEN 'LOINC' WHEN 'L' THEN NULL ELSE coalesce(f3[0].c3, f2[0].c1) END AS condition_source_vocabulary,
       coalesce(f3[0].c2, f4[0].c1) AS condition_source_name,
       coalesce(f5[0].t1, f5[0].c1, PV1.f44[0].t1, happened_at) AS condition_start_datetime
FROM DG1
