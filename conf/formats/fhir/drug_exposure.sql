-- drugs prescribed, told by the patient, handed out and given, and vaccines. The type says which: 32838 prescription,
-- 32865 patient's own report, 32825 dispensing, 32818 administration (OMOP vocabulary Type Concept).
-- A drug stands in the resource, in a Medication within it (#id) or in one of its own.
SELECT r.id AS event_source_value,
       regexp_extract(r.subject.reference, '([^/:#]+?)(?:/_history/[^/]*)?$', 1) AS person_source_value,
       coalesce(r.medicationCodeableConcept, r.inside, m.code).coding[0].code AS drug_source_value,
       coalesce(r.medicationCodeableConcept, r.inside, m.code).coding[0].system AS drug_source_vocabulary,
       coalesce(coalesce(r.medicationCodeableConcept, r.inside, m.code).coding[0].display, coalesce(r.medicationCodeableConcept, r.inside, m.code).text) AS drug_source_name,
       r.authoredOn AS drug_exposure_start_datetime,
       r.dispenseRequest.validityPeriod.end AS drug_exposure_end_datetime,
       r.dispenseRequest.quantity.value AS quantity,
       regexp_extract(r.encounter.reference, '([^/:#]+?)(?:/_history/[^/]*)?$', 1) AS visit_source_value,
       '32838' AS drug_type_concept_id
FROM (SELECT *, filter(contained, c -> concat('#', c.id) = medicationReference.reference)[0].code AS inside FROM MedicationRequest) r
LEFT JOIN Medication m ON m.id = regexp_extract(r.medicationReference.reference, '([^/:#]+?)(?:/_history/[^/]*)?$', 1) AND NOT startswith(r.medicationReference.reference, '#')
WHERE coalesce(r.status, '') <> 'entered-in-error' AND coalesce(r.doNotPerform, 'false') <> 'true'
UNION ALL
SELECT concat('MedicationStatement/', r.id) AS event_source_value,
       regexp_extract(r.subject.reference, '([^/:#]+?)(?:/_history/[^/]*)?$', 1) AS person_source_value,
       coalesce(r.medicationCodeableConcept, r.inside, m.code).coding[0].code AS drug_source_value,
       coalesce(r.medicationCodeableConcept, r.inside, m.code).coding[0].system AS drug_source_vocabulary,
       coalesce(coalesce(r.medicationCodeableConcept, r.inside, m.code).coding[0].display, coalesce(r.medicationCodeableConcept, r.inside, m.code).text) AS drug_source_name,
       coalesce(r.effectiveDateTime, r.effectivePeriod.start, r.dateAsserted) AS drug_exposure_start_datetime,
       r.effectivePeriod.end AS drug_exposure_end_datetime,
       CAST(NULL AS STRING) AS quantity,
       regexp_extract(r.context.reference, '([^/:#]+?)(?:/_history/[^/]*)?$', 1) AS visit_source_value,
       '32865' AS drug_type_concept_id
FROM (SELECT *, filter(contained, c -> concat('#', c.id) = medicationReference.reference)[0].code AS inside FROM MedicationStatement) r
LEFT JOIN Medication m ON m.id = regexp_extract(r.medicationReference.reference, '([^/:#]+?)(?:/_history/[^/]*)?$', 1) AND NOT startswith(r.medicationReference.reference, '#')
WHERE coalesce(r.status, '') NOT IN ('entered-in-error', 'not-taken')
UNION ALL
SELECT concat('MedicationDispense/', r.id) AS event_source_value,
       regexp_extract(r.subject.reference, '([^/:#]+?)(?:/_history/[^/]*)?$', 1) AS person_source_value,
       coalesce(r.medicationCodeableConcept, r.inside, m.code).coding[0].code AS drug_source_value,
       coalesce(r.medicationCodeableConcept, r.inside, m.code).coding[0].system AS drug_source_vocabulary,
       coalesce(coalesce(r.medicationCodeableConcept, r.inside, m.code).coding[0].display, coalesce(r.medicationCodeableConcept, r.inside, m.code).text) AS drug_source_name,
       coalesce(r.whenHandedOver, r.whenPrepared) AS drug_exposure_start_datetime,
       CAST(NULL AS STRING) AS drug_exposure_end_datetime,
       r.quantity.value AS quantity,
       regexp_extract(r.context.reference, '([^/:#]+?)(?:/_history/[^/]*)?$', 1) AS visit_source_value,
       '32825' AS drug_type_concept_id
FROM (SELECT *, filter(contained, c -> concat('#', c.id) = medicationReference.reference)[0].code AS inside FROM MedicationDispense) r
LEFT JOIN Medication m ON m.id = regexp_extract(r.medicationReference.reference, '([^/:#]+?)(?:/_history/[^/]*)?$', 1) AND NOT startswith(r.medicationReference.reference, '#')
WHERE coalesce(r.status, '') NOT IN ('entered-in-error', 'cancelled', 'declined')
UNION ALL
SELECT concat('MedicationAdministration/', r.id) AS event_source_value,
       regexp_extract(r.subject.reference, '([^/:#]+?)(?:/_history/[^/]*)?$', 1) AS person_source_value,
       coalesce(r.medicationCodeableConcept, r.inside, m.code).coding[0].code AS drug_source_value,
       coalesce(r.medicationCodeableConcept, r.inside, m.code).coding[0].system AS drug_source_vocabulary,
       coalesce(coalesce(r.medicationCodeableConcept, r.inside, m.code).coding[0].display, coalesce(r.medicationCodeableConcept, r.inside, m.code).text) AS drug_source_name,
       coalesce(r.effectiveDateTime, r.effectivePeriod.start) AS drug_exposure_start_datetime,
       r.effectivePeriod.end AS drug_exposure_end_datetime,
       r.dosage.dose.value AS quantity,
       regexp_extract(r.context.reference, '([^/:#]+?)(?:/_history/[^/]*)?$', 1) AS visit_source_value,
       '32818' AS drug_type_concept_id
FROM (SELECT *, filter(contained, c -> concat('#', c.id) = medicationReference.reference)[0].code AS inside FROM MedicationAdministration) r
LEFT JOIN Medication m ON m.id = regexp_extract(r.medicationReference.reference, '([^/:#]+?)(?:/_history/[^/]*)?$', 1) AND NOT startswith(r.medicationReference.reference, '#')
WHERE coalesce(r.status, '') NOT IN ('entered-in-error', 'not-done')
UNION ALL
SELECT concat('Immunization/', id), regexp_extract(patient.reference, '([^/:#]+?)(?:/_history/[^/]*)?$', 1), vaccineCode.coding[0].code, vaccineCode.coding[0].system,
       coalesce(vaccineCode.coding[0].display, vaccineCode.text),
       occurrenceDateTime, CAST(NULL AS STRING), doseQuantity.value, regexp_extract(encounter.reference, '([^/:#]+?)(?:/_history/[^/]*)?$', 1), '32818'
FROM Immunization
WHERE coalesce(status, '') = 'completed'
