-- social history, surveys and other observations without a quantity
SELECT id AS event_source_value,
       regexp_extract(subject.reference, '([^/:]+)$', 1) AS person_source_value,
       code.coding[0].code AS observation_source_value,
       code.coding[0].system AS observation_source_vocabulary,
       coalesce(code.coding[0].display, code.text) AS observation_source_name,
       coalesce(effectiveDateTime, effectivePeriod.start, issued) AS observation_datetime,
       coalesce(valueCodeableConcept.text, valueCodeableConcept.coding[0].display, valueString, valueBoolean, valueInteger, valueDateTime) AS value_source_value,
       CAST(NULL AS STRING) AS unit_source_value,
       regexp_extract(encounter.reference, '([^/:]+)$', 1) AS visit_source_value
FROM Observation
WHERE coalesce(status, '') <> 'entered-in-error' AND component IS NULL AND valueQuantity IS NULL
  AND NOT coalesce(exists(category, c -> exists(c.coding, g -> g.code IN ('laboratory', 'vital-signs'))), false)
UNION ALL
SELECT concat(o.id, '#', o.place), regexp_extract(o.subject.reference, '([^/:]+)$', 1),
       o.part.code.coding[0].code, o.part.code.coding[0].system, coalesce(o.part.code.coding[0].display, o.part.code.text),
       coalesce(o.effectiveDateTime, o.effectivePeriod.start, o.issued),
       coalesce(o.part.valueCodeableConcept.text, o.part.valueCodeableConcept.coding[0].display, o.part.valueString),
       CAST(NULL AS STRING),
       regexp_extract(o.encounter.reference, '([^/:]+)$', 1)
FROM (SELECT *, posexplode(component) AS (place, part) FROM Observation
      WHERE coalesce(status, '') <> 'entered-in-error' AND component IS NOT NULL) o
WHERE o.part.valueQuantity IS NULL
