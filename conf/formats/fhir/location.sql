-- where a Location stands, and where an Organization has its first address; names and streets stay in bronze
SELECT concat('Location/', id) AS location_source_value, address.state AS state, address.postalCode AS zip, address.country AS country_source_value
FROM Location
WHERE coalesce(status, '') <> 'entered-in-error' AND address IS NOT NULL
UNION ALL
SELECT concat('Organization/', id), address[0].state, address[0].postalCode, address[0].country
FROM Organization
WHERE address[0] IS NOT NULL
