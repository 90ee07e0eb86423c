-- documents (MDM), and reports in words (TX, FT) of ORU
SELECT concat('TXA#', document_id) AS event_source_value, person_source_value, visit_source_value,
       array_join(lines, '\n') AS note_text,
       coalesce(f2[0].c2, f2[0].c1, f16[0].c1) AS note_title,
       f2[0].c1 AS note_class_source_value,
       coalesce(f4[0].t1, f6[0].t1, f4[0].c1, event_at) AS note_datetime
FROM TXA
UNION ALL
SELECT report_id, person_source_value, visit_source_value, array_join(lines, '\n'),
       coalesce(f4[0].c2, f4[0].c5, f4[0].c1), coalesce(f4[0].c1, f4[0].c4), coalesce(f7[0].t1, f22[0].t1, f7[0].c1, event_at)
FROM OBR
