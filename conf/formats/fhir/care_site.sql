SELECT concat('Organization/', id) AS care_site_source_value,
       coalesce(type[0].coding[0].code, type[0].text, type[0].coding[0].display) AS place_of_service_source_value,
       CASE WHEN address[0] IS NOT NULL THEN concat('Organization/', id) END AS location_source_value
FROM Organization
