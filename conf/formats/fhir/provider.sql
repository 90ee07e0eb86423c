-- a Practitioner, with the specialty and the place of a PractitionerRole that names him or her; of several the first is kept
SELECT concat('Practitioner/', p.id) AS provider_source_value,
       CASE p.gender WHEN 'male' THEN 8507 WHEN 'female' THEN 8532 ELSE 0 END AS gender_concept_id,
       p.gender AS gender_source_value,
       coalesce(r.specialty[0].coding[0].code, r.specialty[0].text) AS specialty_source_value,
       r.specialty[0].coding[0].system AS specialty_source_vocabulary,
       coalesce(r.specialty[0].coding[0].display, r.specialty[0].text) AS specialty_source_name,
       nullif(concat('Organization/', regexp_extract(r.organization.reference, '([^/:#]+?)(?:/_history/[^/]*)?$', 1)), 'Organization/') AS care_site_source_value
FROM Practitioner p
LEFT JOIN PractitionerRole r ON p.id = regexp_extract(r.practitioner.reference, '([^/:#]+?)(?:/_history/[^/]*)?$', 1)
