-- documents, and reports by their text and their conclusion. Of a text that is sent in several forms the plain one is taken, else
-- HTML without its marks; it stands in the attachment or in a Binary. It is UTF-8 where its bytes are that, else
-- Windows-1252 (every byte is a character: nothing is lost); UTF-16 is set aside as text that cannot be read.
SELECT if(d.place = 0, d.id, concat(d.id, '#', d.place)) AS event_source_value,
       regexp_extract(d.subject.reference, '([^/:#]+?)(?:/_history/[^/]*)?$', 1) AS person_source_value,
       transform(array(transform(array(try_to_binary(coalesce(d.part.attachment.data, b.data), 'base64')), b -> CASE
           WHEN startswith(hex(b), 'FFFE') OR startswith(hex(b), 'FEFF') THEN NULL
           ELSE coalesce(try_validate_utf8(CAST(b AS STRING)), translate(decode(b, 'ISO-8859-1'), '\u0080\u0081\u0082\u0083\u0084\u0085\u0086\u0087\u0088\u0089\u008a\u008b\u008c\u008d\u008e\u008f\u0090\u0091\u0092\u0093\u0094\u0095\u0096\u0097\u0098\u0099\u009a\u009b\u009c\u009d\u009e\u009f', '\u20ac\u0081\u201a\u0192\u201e\u2026\u2020\u2021\u02c6\u2030\u0160\u2039\u0152\u008d\u017d\u008f\u0090\u2018\u2019\u201c\u201d\u2022\u2013\u2014\u02dc\u2122\u0161\u203a\u0153\u009d\u017e\u0178')) END)[0]), t -> CASE WHEN lower(d.part.attachment.contentType) RLIKE '^(text/html|application/xhtml)' THEN
           replace(replace(replace(replace(regexp_replace(regexp_replace(regexp_replace(t,
               '(?is)<(script|style)[^>]*>.*?</\\1>', ' '), '(?i)<(br|/p|/div|/tr|/li|/h[1-6])[^>]*>', '\n'), '<[^>]+>', ''),
               '&nbsp;', ' '), '&lt;', '<'), '&gt;', '>'), '&amp;', '&') ELSE t END)[0] AS note_text,
       coalesce(d.type.text, d.type.coding[0].display) AS note_title,
       d.type.coding[0].code AS note_class_source_value,
       coalesce(d.context.period.start, d.date) AS note_datetime,
       regexp_extract(d.context.encounter[0].reference, '([^/:#]+?)(?:/_history/[^/]*)?$', 1) AS visit_source_value
FROM (SELECT *, posexplode(CASE WHEN exists(content, c -> startswith(lower(c.attachment.contentType), 'text/plain')) THEN filter(content, c -> startswith(lower(c.attachment.contentType), 'text/plain'))
                                           ELSE filter(content, c -> lower(c.attachment.contentType) RLIKE '^(text/html|application/xhtml)') END) AS (place, part)
      FROM DocumentReference WHERE coalesce(status, '') <> 'entered-in-error') d
LEFT JOIN Binary b ON b.id = regexp_extract(d.part.attachment.url, '([^/:#]+?)(?:/_history/[^/]*)?$', 1)
UNION ALL
SELECT concat('DiagnosticReport/', d.id, '#', d.place), regexp_extract(d.subject.reference, '([^/:#]+?)(?:/_history/[^/]*)?$', 1),
       transform(array(transform(array(try_to_binary(coalesce(d.part.data, b.data), 'base64')), b -> CASE
           WHEN startswith(hex(b), 'FFFE') OR startswith(hex(b), 'FEFF') THEN NULL
           ELSE coalesce(try_validate_utf8(CAST(b AS STRING)), translate(decode(b, 'ISO-8859-1'), '\u0080\u0081\u0082\u0083\u0084\u0085\u0086\u0087\u0088\u0089\u008a\u008b\u008c\u008d\u008e\u008f\u0090\u0091\u0092\u0093\u0094\u0095\u0096\u0097\u0098\u0099\u009a\u009b\u009c\u009d\u009e\u009f', '\u20ac\u0081\u201a\u0192\u201e\u2026\u2020\u2021\u02c6\u2030\u0160\u2039\u0152\u008d\u017d\u008f\u0090\u2018\u2019\u201c\u201d\u2022\u2013\u2014\u02dc\u2122\u0161\u203a\u0153\u009d\u017e\u0178')) END)[0]), t -> CASE WHEN lower(d.part.contentType) RLIKE '^(text/html|application/xhtml)' THEN
           replace(replace(replace(replace(regexp_replace(regexp_replace(regexp_replace(t,
               '(?is)<(script|style)[^>]*>.*?</\\1>', ' '), '(?i)<(br|/p|/div|/tr|/li|/h[1-6])[^>]*>', '\n'), '<[^>]+>', ''),
               '&nbsp;', ' '), '&lt;', '<'), '&gt;', '>'), '&amp;', '&') ELSE t END)[0],
       coalesce(d.code.text, d.code.coding[0].display), d.code.coding[0].code,
       coalesce(d.effectiveDateTime, d.effectivePeriod.start, d.issued), regexp_extract(d.encounter.reference, '([^/:#]+?)(?:/_history/[^/]*)?$', 1)
FROM (SELECT *, posexplode(CASE WHEN exists(presentedForm, c -> startswith(lower(c.contentType), 'text/plain')) THEN filter(presentedForm, c -> startswith(lower(c.contentType), 'text/plain'))
                                           ELSE filter(presentedForm, c -> lower(c.contentType) RLIKE '^(text/html|application/xhtml)') END) AS (place, part)
      FROM DiagnosticReport WHERE coalesce(status, '') <> 'entered-in-error') d
LEFT JOIN Binary b ON b.id = regexp_extract(d.part.url, '([^/:#]+?)(?:/_history/[^/]*)?$', 1)
UNION ALL
SELECT concat('DiagnosticReport/', id, '#conclusion'), regexp_extract(subject.reference, '([^/:#]+?)(?:/_history/[^/]*)?$', 1), conclusion,
       coalesce(code.text, code.coding[0].display), code.coding[0].code,
       coalesce(effectiveDateTime, effectivePeriod.start, issued), regexp_extract(encounter.reference, '([^/:#]+?)(?:/_history/[^/]*)?$', 1)
FROM DiagnosticReport
WHERE coalesce(status, '') <> 'entered-in-error' AND conclusion IS NOT NULL
