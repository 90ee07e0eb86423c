-- the newest PID of each patient; names, birth date, address, phone and identifiers go to the vault only
SELECT person_source_value,
       CASE f8[0].c1 WHEN 'M' THEN 8507 WHEN 'F' THEN 8532 ELSE 0 END AS gender_concept_id,
       f8[0].c1 AS gender_source_value,
       coalesce(f10[0].c2, f10[0].c1) AS race_source_value,
       coalesce(f22[0].c2, f22[0].c1) AS ethnicity_source_value,
       -- a year or a month alone is no birth date; what is no date at all is told as one that does not read
       CASE WHEN f7[0].c1 RLIKE '^[0-9]{4}([0-9]{2})?$' THEN NULL ELSE coalesce(substring(f7[0].t1, 1, 10), f7[0].c1) END AS birth_date,
       substring(f7[0].c1, 1, 4) AS year_of_birth,
       filter(f5, n -> coalesce(n.c7, 'L') <> 'M')[0].c1 AS family_name,
       concat_ws(' ', filter(f5, n -> coalesce(n.c7, 'L') <> 'M')[0].c2, filter(f5, n -> coalesce(n.c7, 'L') <> 'M')[0].c3) AS given_name,
       filter(f5, n -> n.c7 = 'M')[0].c1 AS maiden_name,
       f5[0].c5 AS prefix,
       concat_ws(' ', f11[0].c1, f11[0].c2) AS address_line,
       f11[0].c3 AS city,
       f11[0].c4 AS state,
       f11[0].c5 AS zip,
       coalesce(f13[0].c1, nullif(concat_ws('', f13[0].c6, f13[0].c7), ''), f13[0].c12) AS phone,
       filter(f13, t -> t.c4 IS NOT NULL)[0].c4 AS email,
       coalesce(f19[0].c1, filter(f3, i -> i.c5 = 'SS')[0].c1) AS national_id,
       coalesce(filter(f3, i -> i.c5 = 'MR')[0].c1, person_source_value) AS medical_record_number,
       array_join(transform(filter(f3, i -> coalesce(i.c5, 'MR') NOT IN ('SS', 'MR')), i -> i.c1), ' ') AS other_id
FROM PID
