"""How identifiers look in free text, and the words beside them, as Python's regular expressions.

(kind, form, expression); a group `it` is the identifier where the expression holds more. One expression a line.
"""

from __future__ import annotations

import re

NAME, DATE, CONTACT, ID, ADDRESS, PLACE, AGE = "name", "date", "contact", "id", "address", "place", "age"
MONTH = (
    r"(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?"
    r"|nov(?:ember)?|dec(?:ember)?)"
)
CAP = r"[^\W\d_a-zà-öø-ÿ][^\W\d_]*(?:['’.\-][^\W\d_]+)*\.?"
STREET_WORD = (
    r"(?:Street|St|Avenue|Ave|Road|Rd|Lane|Ln|Drive|Dr|Court|Ct|Boulevard|Blvd|Way|Place|Pl|Terrace|Parkway|Pkwy|Highway"
    r"|Hwy|Square|Sq|Close|Crescent|Row|Walk|Grove|Gardens|Alley|Mews|Park|Hill|Green|Circle|Trail|Crossing|Plaza)"
)
STREET_END = (
    r"(?:stra(?:ß|ss)e|str\.|gasse|weg|platz|allee|gatan|gata|vägen|väg|gränd|katu|kuja|tie|polku|vej|gade|veien|vei"
    r"|gaten|straat|laan|plein|kade|dijk|utca|ulica|ulice|cesta|vegur|braut|gata|stræti|terrasse|vegen|stien)"
)
STREET_START = (
    r"(?:Rua|Via|Viale|Corso|Piazza|Rue|Place|Chemin|Quai|Calle|C/|Avda\.?|Avenida|Av\.|Plaza|Paseo|Carretera|Camino|Ctra"
    r"\.?|Praça|Travessa|Estrada|Largo|Ul\.|ul\.|Al\.|Os\.|Rruga|Boulevard|Route|Impasse)"
)
# What else an address in the US may end with (USPS, Publication 28, appendix C1); words of medicine among them: only behind "and"
STREET_MORE = (
    r"(?:Pass|Union|Forges?|Flats?|Point|Springs?|Greens|Bend|Bluff|Branch|Bridge|Brook|Canyon|Corner|Cove|Creek|Crest|Dale|Estates?"
    r"|Falls|Ferry|Fields?|Ford|Forest|Fork|Glen|Harbor|Haven|Heights|Hollow|Island|Isle|Junction|Knoll|Lake|Landing|Loop|Manor|Meadows?"
    r"|Mills?|Mission|Mount|Mountain|Orchard|Path|Pike|Pine|Port|Ranch|Ridge|River|Run|Shores?|Spur|Station|Stream|Summit|Trace|Track"
    r"|Turnpike|Valley|View|Village|Ville|Vista|Walks|Well)"
)
FLAT = r"(?:Apt|Apartment|Suite|Ste|Unit|Room|Flat|Floor|Box|PSC|P\.?\s?O\.? Box)\.?\s?#?\s?\d+[A-Za-z]?"
NO_DOSE = r"(?!\d)(?![.,]\d|\s?(?:%|mg|mcg|µg|ug|g|kg|ml|mL|cc|units?|IU|mmHg|mmol|bpm|times|days?|weeks?|months?|years?|hours?)\b)"
PHONE_WORDS = re.compile(r"(?i)(?:phone|tel|call|fax|mobile|cell|desk|reach|number|contact|pager|text|messages?|at|to|:)\W*$")
PATTERNS: tuple[tuple[str, str, str], ...] = (
    (CONTACT, "email", r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+"),
    (CONTACT, "url", r"(?i)\b(?:https?://|www\.)[^\s<>\"]+"),
    (CONTACT, "ip", r"(?<![\d.])(?:\d{1,3}\.){3}\d{1,3}(?![\d.]*\d)|\b(?:[0-9a-fA-F]{1,4}:){7}[0-9a-fA-F]{1,4}\b"),
    (ID, "uuid", r"(?i)\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b"),
    (ID, "uid", r"\b[0-2](?:\.\d+){5,}\b"),
    (ID, "iban", r"(?i)\b[a-z]{2}\d{2}[a-z]{0,4}\d{10,26}\b"),
    (ID, "ssn", r"\b\d{3}-\d{2}-\d{4}\b"),
    (ID, "card", r"\b(?:\d{4}[ -]){3}\d{3,4}\b|\b\d{12,19}\b"),
    (ID, "file", r"(?i)\b[\w-]*\d[\w-]*\.(?:jpe?g|png|tiff?|gif|bmp|heic|dcm|pdf|docx?|wav|mp[34])\b"),
    (ID, "vehicle", r"\b(?=[A-HJ-NPR-Z0-9]*\d)(?=[A-HJ-NPR-Z0-9]*[A-Z])[A-HJ-NPR-Z0-9]{17}\b"),
    (ID, "template", r"(?i)\b(?=[0-9a-f]*\d)(?=[0-9a-f]*[a-f])[0-9a-f]{16,}\b"),
    (ID, "named", r"(?i)\b(?:mrn|medical record(?: number| no\.?)?|record no\.?|patient (?:id|number)|account(?: number)?|licen[cs]e"
     r"(?: number)?|policy(?: number)?|member id|passport(?: number)?|case(?: number)?|accession(?: number)?|(?:health plan|serial|study|trial"
     r"|device|certificate|plate)(?: (?:number|no\.?|id|code))?)\s*(?:is|[:#]|no\.?)?"
     r"\s*[:#]?\s*(?P<it>(?=[\w-]*\d[\w-]*\d)[A-Za-z0-9][\w-]{3,})"),
    (DATE, "iso", r"\b(?:18|19|20)\d{2}[-/.]\d{1,2}[-/.]\d{1,2}(?:[T ]\d{2}:\d{2}(?::\d{2})?)?\b"),
    (DATE, "numeric", r"(?<![\d./-])\d{1,2}[-/.]\d{1,2}[-/.](?:\d{4}|\d{2})(?![\d/-])"),
    (DATE, "compact", r"\b(?:19|20)\d{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])\b"),
    (DATE, "words", rf"(?i)\b(?:\d{{1,2}}(?:st|nd|rd|th)?\.?\s+(?:of\s+)?)?{MONTH}\.?\s+(?:\d{{1,2}}(?:st|nd|rd|th)?,?\s+)?(?:19|20)\d{{2}}\b"),
    (DATE, "day", rf"(?i)\b(?:\d{{1,2}}(?:st|nd|rd|th)?\.?\s+(?:of\s+)?{MONTH}|{MONTH}\.?\s+\d{{1,2}}(?:st|nd|rd|th)?)\b(?!\s?(?:mg|ml|%))"),
    (AGE, "age", r"(?i)\b(?:9\d|1[01]\d)(?=[ -]?(?:years?|yrs?|y\.?/?o)\b)"),
    (ADDRESS, "zip", r"(?i)\b(?:zip|postal|post)\s?-?(?:code)?\s*(?:is|:)?\s*(?P<it>(?=[\w -]*\d)[A-Z0-9]{2,6}(?:[ -][A-Z0-9]{2,4})?)\b"),
)  # fmt: skip
ADDRESSES = (
    (ADDRESS, "flat", rf"\b{FLAT}\b"),
    (ADDRESS, "box", r"\b(?:[A-Z]{3} )?(?:APO|FPO|DPO) A[AEP] \d{5}\b"),
    (ADDRESS, "street", rf"(?:\b\d{{1,6}}[A-Za-z]?,?\s+)?\b(?:{CAP}\s+){{1,4}}{STREET_WORD}\b\.?|\b\d{{1,6}}\s+(?:{CAP}\s+){{0,3}}{STREET_WORD}\b"),
    (ADDRESS, "street_end", rf"(?:\b\d{{1,6}}\s+)?\b(?:{CAP}\s+){{0,3}}(?:{CAP}\s+)?[^\W\d_]*{STREET_END}\b(?:\s+\d{{1,5}}[A-Za-z]?)"),
    (ADDRESS, "street_start", rf"(?:\b\d{{1,6}},?\s+)?(?<!\w){STREET_START}\s+(?:(?:de|da|do|dos|das|del|della|di|la|el|los|las|du|des|l'|d')\s*)*(?:[^\W\d_]+[\s,]*){{1,4}}(?:\d{{1,5}}[A-Za-z]?\b)?"),
    (ADDRESS, "french", r"(?:\b\d{1,6},?\s+){1,2}(?i:rue|avenue|boulevard|chemin|quai|impasse|allée|cours|place|route|square)\s+(?:(?:de|du|des|de la|à|aux?)\s+|[dl]['’])*(?:[^\W\d_]+[\s-]?){1,3}"),
    (ADDRESS, "corner", rf"\b(?:(?i:the)\s+)?(?i:corner|intersection) of\s+(?:[^\s,;?!]+\s+){{1,5}}?(?:and|&)\s+(?:\d{{1,6}}\s+)?(?:[^\W\d_]+\s+)?(?:{CAP}\s*){{1,3}}(?:\d{{1,5}}\b)?"),
    (ADDRESS, "crossing", rf"\b(?:{CAP}\s+){{1,2}}and\s+(?:\d{{1,6}}\s+)?(?:{CAP}\s+){{1,3}}(?:{STREET_MORE}|{STREET_WORD}|\d{{1,5}}{NO_DOSE})\b"),
    (ADDRESS, "told", rf"(?:(?i:\baddress(?:\W+is|:)?|\b(?:lives?|living|resides?|located|is|stay(?:s|ing)?|are) (?:at|on|in)|\b(?:at|on|to|of))\s+)(?P<it>(?:\d{{1,6}}[A-Za-z]?,?\s+)+(?:{CAP}\s*){{1,5}}(?:\d{{1,5}}\b)?|(?:{CAP}\s+){{1,4}}\d{{1,5}}\b)"),
    (ADDRESS, "line", rf"(?m:^)\W*(?P<it>(?:\d{{1,6}}\s+)?(?:{CAP}\s+){{1,4}}\d{{1,5}})(?=[ ]?(?:,|$|\n))"),
    (ADDRESS, "hungarian", rf"(?:\b\d{{1,6}}\s+)?(?:{CAP}\s+){{1,3}}(?:u|út|tér|krt)\.\s*\d{{1,5}}"),
    (ADDRESS, "numbered", rf"\b\d{{1,6}}\s+(?:{CAP}\s+){{1,4}}\d{{1,5}}\b"),
    (ADDRESS, "quay", rf"\b\d{{1,6}}\s+(?:{CAP}\s+){{1,3}}(?:[^\W\d_]{{2,12}}\.?\s+){{1,2}}\d{{1,4}}\b{NO_DOSE}"),
)  # fmt: skip
CONTEXTS = (
    rf"\b(?:(?:M(?:r|rs|s|iss|x)|mr|mrs|ms|Dr|Prof|Sir|Madam|Nurse|Rev|Fr|Sr)\b\.?\s+)(?P<it>[^\W\d_]{{2,}}(?:[ ]{CAP}){{0,3}})",
    rf"(?i:\b(?:name(?:'s| is|:|\?)|called|named|i am|i'm|this is|dear|hello|hi|under|sincerely,?|signed(?: by)?|contact|patient:))\s+(?P<it>{CAP}(?:[ ]{CAP}){{0,3}})",
    rf"(?m:^)(?P<it>{CAP}(?:[ ]{CAP}){{1,3}})(?=\s*\n)",
)
DATES_BY_CONTEXT = (
    ("year", r"(?<![\d#$€£./-])\b(?:19|20)\d{2}\b(?![\d/-]|\.\d|\s?(?:mg|mcg|ml|cc|units?|kcal|steps|words|people|cells|/))"),
    ("weekday", r"\b(?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day\b"),
)
PHONE = re.compile(r"(?<![\w.,/])(?:\+|00)?\(?\d(?:[\d]|[ ().\-/](?=[\d( )])){5,20}\d(?:\s?(?:x|ext\.?)\s?\d{1,6})?(?![\w/])")
LONG_NUMBER = re.compile(r"\b(?=[A-Za-z]{0,3}\d{6,})[A-Za-z]{0,3}\d{6,}\b")
TOKEN = re.compile(r"[^\W\d_]+(?:['’\-](?![sS]\b)[^\W\d_]+)*")
CODE = re.compile(rf"\s+(?:\d{{4,6}}|\d{{3}} \d{{2}})\b{NO_DOSE}")
TAIL = re.compile(rf"(?:[ \t]*[,\n][ \t\n,>?*|]*|[ \t]+)(?:{FLAT}|[^\W\d_]{{2,12}}\s+\d{{4,6}}\b|{CAP}|\({CAP}\)|[A-Z]{{2}}|\d{{2,6}}(?:[ -]\d{{2,4}})?(?![\d.]*\s?(?:mg|ml))|(?:de|of|la|am|an|der|upon|O')(?=\s))")
HEAD = re.compile(rf"(?:\b\d{{1,6}}[A-Za-z]?,?\s+){{0,2}}(?:{CAP}\s+){{1,4}}(?:\d{{1,5}}[A-Za-z]?)?[,\s]*\Z")
STREET_WORDS = frozenset(STREET_WORD.lower()[3:-1].split("|"))
PREPOSITIONS = re.compile(r"(?i)\b(?:in|from|to|near|at|of|via|through|visited|southern|northern|eastern|western)\s+$")
SENTENCE_END = re.compile(r"(?:^|[.!?:\n\"“»;|]\s*|^\W+)$")
