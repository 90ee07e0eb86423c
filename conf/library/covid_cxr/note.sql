SELECT patientid AS person_source_value, filename AS event_source_value, clinical_notes AS note_text,
       'clinical note beside a picture' AS note_title, 'note' AS note_class_source_value, taken_at AS note_datetime
FROM dated WHERE clinical_notes IS NOT NULL
