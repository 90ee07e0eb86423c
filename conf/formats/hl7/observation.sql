-- codes, words, dates: whatever measurement.sql leaves; a coded value is told by its text
SELECT result_id AS event_source_value, person_source_value, visit_source_value,
       CASE WHEN f3[0].c6 = 'LN' AND coalesce(f3[0].c3, '') <> 'LN' THEN f3[0].c4 ELSE coalesce(f3[0].c1, f3[0].c4, f3[0].c2) END AS observation_source_value,
       CASE WHEN f3[0].c3 = 'LN' OR f3[0].c6 = 'LN' THEN 'LOINC' WHEN f3[0].c3 = 'SCT' THEN 'SNOMED' WHEN f3[0].c3 = 'L' THEN NULL ELSE f3[0].c3 END AS observation_source_vocabulary,
       coalesce(f3[0].c2, f3[0].c5) AS observation_source_name,
       coalesce(f14[0].t1, f14[0].c1, OBR.f7[0].t1, event_at) AS observation_datetime,
       CASE WHEN f2[0].c1 IN ('CE', 'CWE', 'CNE', 'CF') THEN array_join(transform(f5, r -> coalesce(r.c2, r.c1, r.c5, r.c4)), '; ')
            WHEN f2[0].c1 IN ('ED', 'RP') THEN NULL  -- an attachment: its bytes stay in bronze
            ELSE array_join(transform(f5, r -> coalesce(r.t1, r.c1)), '; ') END AS value_source_value,
       coalesce(f6[0].c1, f6[0].c2) AS unit_source_value
FROM OBX
WHERE NOT coalesce(
    f2[0].c1 IN ('NM', 'SN')
    OR (f2[0].c1 = 'ST' AND f5[0].c1 RLIKE '^\\s*([<>]=?|≤|≥)?\\s*[+-]?[0-9]+([.,][0-9]+)?\\s*$'
        AND (f6[0].c1 IS NOT NULL OR f5[0].c1 RLIKE '^\\s*[<>≤≥]')), false)
