-- numbers (NM, SN) and texts that are numbers with a comparator or a unit; LOINC is taken where it stands second
SELECT result_id AS event_source_value, person_source_value, visit_source_value,
       CASE WHEN f3[0].c6 = 'LN' AND coalesce(f3[0].c3, '') <> 'LN' THEN f3[0].c4 ELSE coalesce(f3[0].c1, f3[0].c4, f3[0].c2) END AS measurement_source_value,
       CASE WHEN f3[0].c3 = 'LN' OR f3[0].c6 = 'LN' THEN 'LOINC' WHEN f3[0].c3 = 'SCT' THEN 'SNOMED' WHEN f3[0].c3 = 'L' THEN NULL ELSE f3[0].c3 END AS measurement_source_vocabulary,
       coalesce(f3[0].c2, f3[0].c5) AS measurement_source_name,
       coalesce(f14[0].t1, f14[0].c1, OBR.f7[0].t1, event_at) AS measurement_datetime,
       CASE WHEN f2[0].c1 = 'SN' THEN concat_ws('', f5[0].c1, f5[0].c2, f5[0].c3, f5[0].c4)
            ELSE array_join(transform(f5, r -> r.c1), '~') END AS value_source_value,
       coalesce(f6[0].c1, f6[0].c2) AS unit_source_value
FROM OBX
WHERE f2[0].c1 IN ('NM', 'SN')
   OR (f2[0].c1 = 'ST' AND f5[0].c1 RLIKE '^\\s*([<>]=?|≤|≥)?\\s*[+-]?[0-9]+([.,][0-9]+)?\\s*$'
       AND (f6[0].c1 IS NOT NULL OR f5[0].c1 RLIKE '^\\s*[<>≤≥]'))
