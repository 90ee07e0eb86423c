-- laboratory results, vital signs and whatever has a quantity; one row per component of a panel
SELECT id AS event_source_value,
       regexp_extract(subject.reference, '([^/:]+)$', 1) AS person_source_value,
       code.coding[0].code AS measurement_source_value,
       code.coding[0].system AS measurement_source_vocabulary,
       coalesce(code.coding[0].display, code.text) AS measurement_source_name,
       coalesce(effectiveDateTime, effectivePeriod.start, issued) AS measurement_datetime,
       coalesce(concat(coalesce(valueQuantity.comparator, ''), valueQuantity.value), valueCodeableConcept.text, valueCodeableConcept.coding[0].display, valueString, valueInteger) AS value_source_value,
       coalesce(valueQuantity.code, valueQuantity.unit) AS unit_source_value,
       regexp_extract(encounter.reference, '([^/:]+)$', 1) AS visit_source_value
FROM Observation
WHERE coalesce(status, '') <> 'entered-in-error' AND component IS NULL
  AND (valueQuantity IS NOT NULL OR exists(category, c -> exists(c.coding, g -> g.code IN ('laboratory', 'vital-signs'))))
UNION ALL
SELECT concat(o.id, '#', o.place), regexp_extract(o.subject.reference, '([^/:]+)$', 1),
       o.part.code.coding[0].code, o.part.code.coding[0].system, coalesce(o.part.code.coding[0].display, o.part.code.text),
       coalesce(o.effectiveDateTime, o.effectivePeriod.start, o.issued),
       coalesce(concat(coalesce(o.part.valueQuantity.comparator, ''), o.part.valueQuantity.value), o.part.valueCodeableConcept.text, o.part.valueString),
       coalesce(o.part.valueQuantity.code, o.part.valueQuantity.unit),
       regexp_extract(o.encounter.reference, '([^/:]+)$', 1)
FROM (SELECT *, posexplode(component) AS (place, part) FROM Observation
      WHERE coalesce(status, '') <> 'entered-in-error' AND component IS NOT NULL) o
WHERE o.part.valueQuantity IS NOT NULL
