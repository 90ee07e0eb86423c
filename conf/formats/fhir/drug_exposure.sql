-- prescribed drugs and given vaccines
SELECT r.id AS event_source_value,
       regexp_extract(r.subject.reference, '([^/:]+)$', 1) AS person_source_value,
       coalesce(r.medicationCodeableConcept, m.code).coding[0].code AS drug_source_value,
       coalesce(r.medicationCodeableConcept, m.code).coding[0].system AS drug_source_vocabulary,
       coalesce(coalesce(r.medicationCodeableConcept, m.code).coding[0].display, coalesce(r.medicationCodeableConcept, m.code).text) AS drug_source_name,
       r.authoredOn AS drug_exposure_start_datetime,
       r.dispenseRequest.validityPeriod.end AS drug_exposure_end_datetime,
       r.dispenseRequest.quantity.value AS quantity,
       regexp_extract(r.encounter.reference, '([^/:]+)$', 1) AS visit_source_value
FROM MedicationRequest r
LEFT JOIN Medication m ON m.id = regexp_extract(r.medicationReference.reference, '([^/:]+)$', 1)
WHERE coalesce(r.status, '') <> 'entered-in-error'
UNION ALL
SELECT id, regexp_extract(patient.reference, '([^/:]+)$', 1), vaccineCode.coding[0].code, vaccineCode.coding[0].system,
       coalesce(vaccineCode.coding[0].display, vaccineCode.text),
       occurrenceDateTime, CAST(NULL AS STRING), CAST(NULL AS STRING), regexp_extract(encounter.reference, '([^/:]+)$', 1)
FROM Immunization
WHERE coalesce(status, '') = 'completed'
