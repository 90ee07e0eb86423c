"""Code systems by OMOP's vocabulary names: FHIR says a URI, a CSV what it likes."""

from __future__ import annotations

from itertools import chain

from pyspark.sql import Column
from pyspark.sql import functions as F

from medlake.grammar.quality import Rule

# FHIR R4 terminologies → OMOP VOCABULARY.vocabulary_id
VOCABULARY_OF_URI = {
    "http://snomed.info/sct": "SNOMED",
    "http://loinc.org": "LOINC",
    "http://www.nlm.nih.gov/research/umls/rxnorm": "RxNorm",
    "http://hl7.org/fhir/sid/icd-10-cm": "ICD10CM",
    "http://hl7.org/fhir/sid/icd-10": "ICD10",
    "http://hl7.org/fhir/sid/icd-9-cm": "ICD9CM",
    "http://hl7.org/fhir/sid/cvx": "CVX",
    "http://hl7.org/fhir/sid/ndc": "NDC",
    "http://www.whocc.no/atc": "ATC",
    "http://www.ama-assn.org/go/cpt": "CPT4",
    "http://unitsofmeasure.org": "UCUM",
}


def vocabulary(said: Column, source: Column) -> Column:
    """OMOP's name where the URI is known, what was said otherwise, and the source's name where nothing was."""
    known = F.create_map(*[F.lit(text) for text in chain(*VOCABULARY_OF_URI.items())])
    return F.coalesce(F.try_element_at(known, said), said, source)


# How a code of each vocabulary looks; points are optional, as sources leave them out.
FORM = {
    "ICD10CM": r"^[A-TV-Z][0-9][0-9AB]([.]?[0-9A-Z]{1,4})?$",
    "ICD10": r"^[A-Z][0-9]{2}([.]?[0-9]{1,2})?[*+†]?$",
    "ICD9CM": r"^([0-9]{3}|V[0-9]{2})([.]?[0-9]{1,2})?$|^E[0-9]{3}([.]?[0-9])?$",
    "ATC": r"^[A-Z]([0-9]{2}([A-Z]([A-Z]([0-9]{2})?)?)?)?$",
    "LOINC": r"^[0-9]{1,7}-[0-9]$",
    "SNOMED": r"^[1-9][0-9]{5,17}$",
    "RxNorm": r"^[0-9]{1,8}$",
    "CVX": r"^[0-9]{1,3}$",
    "CPT4": r"^[0-9]{4}[0-9A-Z]$",
    "NDC": r"^[0-9]{10,11}$|^[0-9]{4,5}-[0-9]{3,4}-[0-9]{1,2}$",
}
# Verhoeff's dihedral check of SNOMED identifiers (SNOMED CT Release File Specification, 5.3): rows of d and of p
VERHOEFF_D = "0123456789123406789523401789563401289567401239567859876043216598710432765982104387659321049876543210"
VERHOEFF_P = "01234567891576283094580379614289160435279453126870428657390127938064157046913258"


def malformed(vocabulary_column: str, code_column: str) -> tuple[Rule, Rule]:
    """The rules on codes: does one look like its vocabulary's, and does its check digit hold?"""
    v, c = vocabulary_column, code_column
    forms = " ".join(f"WHEN '{name}' THEN NOT {c} RLIKE '{form}'" for name, form in FORM.items())
    looks = f"CASE {v} {forms} END"
    digits = f"CASE {v} WHEN 'LOINC' THEN NOT {_luhn(c)} WHEN 'SNOMED' THEN NOT {_verhoeff(c)} END"
    return (
        Rule("code_malformed", looks, False, "The code does not look like one of its code system.", "vocabulary"),
        Rule(
            "code_check_digit", f"coalesce(NOT ({looks}), false) AND {digits}", False,
            "The code's check digit is wrong: a digit was mistyped or exchanged.", "vocabulary",
        ),
    )  # fmt: skip


def _luhn(code: str) -> str:
    """SQL: the last digit of a LOINC code is the mod-10 check digit of those before the hyphen."""
    at = f"CAST(substring(reverse(replace({code}, '-', '')), i + 1, 1) AS INT)"
    twice = f"IF(i % 2 = 1, {at} * 2 - IF({at} > 4, 9, 0), {at})"
    return f"aggregate(sequence(0, length({code}) - 2), 0, (sum, i) -> sum + {twice}) % 10 = 0"


def _verhoeff(code: str) -> str:
    """SQL: the dihedral sum of a SNOMED identifier's digits is 0."""
    digit = f"CAST(substring(reverse({code}), i + 1, 1) AS INT)"
    turned = f"CAST(substring('{VERHOEFF_P}', (i % 8) * 10 + {digit} + 1, 1) AS INT)"
    step = f"CAST(substring('{VERHOEFF_D}', state * 10 + {turned} + 1, 1) AS INT)"
    return f"aggregate(sequence(0, length({code}) - 1), 0, (state, i) -> {step}) = 0"
