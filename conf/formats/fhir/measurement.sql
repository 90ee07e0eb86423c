-- laboratory results, vital signs and whatever has a quantity; one row per component of a panel (place 1, 2, …), one for
-- the panel itself (place 0) where it has a value. Of every value[x] the text is kept: a range is "3 - 5", a ratio "1:128".
SELECT if(o.place = 0, o.id, concat(o.id, '#', o.place - 1)) AS event_source_value,
       regexp_extract(o.subject.reference, '([^/:#]+?)(?:/_history/[^/]*)?$', 1) AS person_source_value,
       o.part.code.coding[0].code AS measurement_source_value,
       o.part.code.coding[0].system AS measurement_source_vocabulary,
       coalesce(o.part.code.coding[0].display, o.part.code.text) AS measurement_source_name,
       coalesce(o.effectiveDateTime, o.effectivePeriod.start, o.effectiveInstant, o.issued) AS measurement_datetime,
       o.said AS value_source_value,
       coalesce(o.part.valueQuantity.code, o.part.valueQuantity.unit, o.part.valueRange.low.code, o.part.valueRange.low.unit,
                o.part.valueRange.high.code, o.part.valueRange.high.unit, o.part.valueSampledData.origin.code, o.part.valueSampledData.origin.unit) AS unit_source_value,
       coalesce(o.part.interpretation[0].coding[0].code, o.part.interpretation[0].text) AS flag_source_value,
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
  AND (o.part.valueQuantity IS NOT NULL OR (o.place = 0 AND o.is_measured))
