-- Patient → person, race and ethnicity by the codes of US Core (OMOP's own ids of them; 0 where several or none are told);
-- a birth date of a year or a month alone gives the year. Names, birth date, address, phone and identifiers go to the vault only.
SELECT id AS person_source_value,
       CASE gender WHEN 'male' THEN 8507 WHEN 'female' THEN 8532 ELSE 0 END AS gender_concept_id,
       gender AS gender_source_value,
       filter(filter(extension, e -> endswith(e.url, 'us-core-race'))[0].extension, e -> e.url = 'text')[0].valueString AS race_source_value,
       filter(filter(extension, e -> endswith(e.url, 'us-core-ethnicity'))[0].extension, e -> e.url = 'text')[0].valueString AS ethnicity_source_value,
       CASE WHEN size(races) = 1 THEN CASE races[0] WHEN '1002-5' THEN 8657 WHEN '2028-9' THEN 8515 WHEN '2054-5' THEN 8516
                                                    WHEN '2076-8' THEN 8557 WHEN '2106-3' THEN 8527 WHEN '2131-1' THEN 8522 END END AS race_concept_id,
       CASE ethnicities[0] WHEN '2135-2' THEN 38003563 WHEN '2186-5' THEN 38003564 END AS ethnicity_concept_id,
       CASE WHEN birthDate RLIKE '^[0-9]{4}(-[0-9]{2})?$' THEN NULL ELSE birthDate END AS birth_date,
       CASE WHEN birthDate RLIKE '^[0-9]{4}(-[0-9]{2})?$' THEN substring(birthDate, 1, 4) END AS year_of_birth,
       filter(name, n -> coalesce(n.use, 'official') <> 'maiden')[0].family AS family_name,
       array_join(filter(name, n -> coalesce(n.use, 'official') <> 'maiden')[0].given, ' ') AS given_name,
       filter(name, n -> n.use = 'maiden')[0].family AS maiden_name,
       name[0].prefix[0] AS prefix,
       array_join(address[0].line, ' ') AS address_line,
       address[0].city AS city,
       address[0].state AS state,
       address[0].postalCode AS zip,
       filter(telecom, t -> t.system = 'phone')[0].value AS phone,
       filter(telecom, t -> t.system = 'email')[0].value AS email,
       filter(identifier, i -> i.type.coding[0].code = 'SS')[0].value AS national_id,
       filter(identifier, i -> i.type.coding[0].code = 'MR')[0].value AS medical_record_number,
       array_join(transform(filter(identifier, i -> coalesce(i.type.coding[0].code, '') NOT IN ('SS', 'MR')), i -> i.value), ' ') AS other_id
FROM (SELECT *, transform(filter(filter(extension, e -> endswith(e.url, 'us-core-race'))[0].extension, e -> e.url = 'ombCategory'), e -> e.valueCoding.code) AS races,
             transform(filter(filter(extension, e -> endswith(e.url, 'us-core-ethnicity'))[0].extension, e -> e.url = 'ombCategory'), e -> e.valueCoding.code) AS ethnicities
      FROM Patient) p
