-- a device in use: what a DeviceUseStatement says of it, else the Device that names its patient (without a time: set aside)
SELECT concat('DeviceUseStatement/', u.id) AS event_source_value,
       regexp_extract(u.subject.reference, '([^/:#]+?)(?:/_history/[^/]*)?$', 1) AS person_source_value,
       d.type.coding[0].code AS device_source_value,
       d.type.coding[0].system AS device_source_vocabulary,
       coalesce(d.type.coding[0].display, d.type.text) AS device_source_name,
       coalesce(u.timingDateTime, u.timingPeriod.start, u.recordedOn) AS device_exposure_start_datetime,
       u.timingPeriod.end AS device_exposure_end_datetime,
       d.udiCarrier[0].deviceIdentifier AS unique_device_id,
       coalesce(d.udiCarrier[0].carrierHRF, d.serialNumber) AS production_id,
       CAST(NULL AS STRING) AS visit_source_value
FROM DeviceUseStatement u
LEFT JOIN Device d ON d.id = regexp_extract(u.device.reference, '([^/:#]+?)(?:/_history/[^/]*)?$', 1)
WHERE coalesce(u.status, '') <> 'entered-in-error'
UNION ALL
SELECT concat('Device/', d.id), regexp_extract(d.patient.reference, '([^/:#]+?)(?:/_history/[^/]*)?$', 1),
       d.type.coding[0].code, d.type.coding[0].system, coalesce(d.type.coding[0].display, d.type.text),
       CAST(NULL AS STRING), CAST(NULL AS STRING),
       d.udiCarrier[0].deviceIdentifier, coalesce(d.udiCarrier[0].carrierHRF, d.serialNumber), CAST(NULL AS STRING)
FROM Device d
LEFT ANTI JOIN DeviceUseStatement u ON regexp_extract(u.device.reference, '([^/:#]+?)(?:/_history/[^/]*)?$', 1) = d.id
WHERE coalesce(d.status, '') <> 'entered-in-error' AND d.patient.reference IS NOT NULL
