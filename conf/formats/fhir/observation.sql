-- social history, surveys and other observations without a quantity (see measurement.sql), allergies, and what a report concludes
SELECT if(o.place = 0, o.id, concat(o.id, '#', o.place - 1)) AS event_source_value,
       regexp_extract(o.subject.reference, '([^/:#]+?)(?:/_history/[^/]*)?$', 1) AS person_source_value,
       o.part.code.coding[0].code AS observation_source_value,
       o.part.code.coding[0].system AS observation_source_vocabulary,
       coalesce(o.part.code.coding[0].display, o.part.code.text) AS observation_source_name,
       coalesce(o.effectiveDateTime, o.effectivePeriod.start, o.effectiveInstant, o.issued) AS observation_datetime,
       o.said AS value_source_value,
       coalesce(o.part.valueQuantity.code, o.part.valueQuantity.unit, o.part.valueRange.low.code, o.part.valueRange.low.unit,
                o.part.valueRange.high.code, o.part.valueRange.high.unit, o.part.valueSampledData.origin.code, o.part.valueSampledData.origin.unit) AS unit_source_value,
       regexp_extract(o.encounter.reference, '([^/:#]+?)(?:/_history/[^/]*)?$', 1) AS visit_source_value
FROM (SELECT *, coalesce(
           concat(coalesce(part.valueQuantity.comparator, ''), part.valueQuantity.value),
           part.valueCodeableConcept.text, part.valueCodeableConcept.coding[0].display, part.valueCodeableConcept.coding[0].code,
           part.valueString, part.valueInteger, part.valueBoolean, part.valueDateTime, part.valueTime,
           concat(part.valueRange.low.value, ' - ', part.valueRange.high.value), concat('>=', part.valueRange.low.value), concat('<=', part.valueRange.high.value),
           concat(coalesce(part.valueRatio.numerator.comparator, ''), part.valueRatio.numerator.value, ':', part.valueRatio.denominator.value),
           part.valueSampledData.data,
           nullif(concat(coalesce(part.valuePeriod.start, ''), '/', coalesce(part.valuePeriod.end, '')), '/')) AS said
      FROM (SELECT *, coalesce(exists(category, c -> exists(c.coding, g -> g.code IN ('laboratory', 'vital-signs'))), false) AS is_measured,
                   posexplode(concat(array(named_struct('code', code, 'valueQuantity', valueQuantity, 'valueCodeableConcept', valueCodeableConcept, 'valueString', valueString, 'valueInteger', valueInteger, 'valueBoolean', valueBoolean, 'valueDateTime', valueDateTime, 'valueTime', valueTime, 'valuePeriod', valuePeriod, 'valueRange', valueRange, 'valueRatio', valueRatio, 'valueSampledData', valueSampledData, 'interpretation', interpretation)), coalesce(component, array()))) AS (place, part)
            FROM Observation WHERE coalesce(status, '') <> 'entered-in-error')) o
WHERE (o.place > 0 OR o.component IS NULL OR o.said IS NOT NULL)
  AND NOT (o.part.valueQuantity IS NOT NULL OR (o.place = 0 AND o.is_measured))
UNION ALL
SELECT concat('AllergyIntolerance/', id), regexp_extract(patient.reference, '([^/:#]+?)(?:/_history/[^/]*)?$', 1),
       code.coding[0].code, code.coding[0].system, coalesce(code.coding[0].display, code.text),
       coalesce(onsetDateTime, onsetPeriod.start, recordedDate, lastOccurrence),
       coalesce(nullif(array_join(transform(flatten(transform(reaction, r -> r.manifestation)), m -> coalesce(m.text, m.coding[0].display, m.coding[0].code)), ', '), ''),
                criticality, type, 'allergy'),
       CAST(NULL AS STRING), regexp_extract(encounter.reference, '([^/:#]+?)(?:/_history/[^/]*)?$', 1)
FROM AllergyIntolerance
WHERE coalesce(verificationStatus.coding[0].code, '') NOT IN ('entered-in-error', 'refuted')
UNION ALL
SELECT concat('DiagnosticReport/', d.id, '#', d.place), regexp_extract(d.subject.reference, '([^/:#]+?)(?:/_history/[^/]*)?$', 1),
       d.said.coding[0].code, d.said.coding[0].system, coalesce(d.said.coding[0].display, d.said.text),
       coalesce(d.effectiveDateTime, d.effectivePeriod.start, d.issued),
       coalesce(d.code.text, d.code.coding[0].display, d.code.coding[0].code), CAST(NULL AS STRING), regexp_extract(d.encounter.reference, '([^/:#]+?)(?:/_history/[^/]*)?$', 1)
FROM (SELECT *, posexplode(conclusionCode) AS (place, said) FROM DiagnosticReport WHERE coalesce(status, '') <> 'entered-in-error') d
