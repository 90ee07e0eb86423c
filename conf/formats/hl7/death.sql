SELECT person_source_value, coalesce(f29[0].t1, f29[0].c1) AS death_datetime
FROM PID
WHERE f29[0].c1 IS NOT NULL AND coalesce(f30[0].c1, 'Y') = 'Y'
