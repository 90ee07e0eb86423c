"""Codes rolled up along their classification: ICD-9-CM and ICD-10 categories, ATC levels. All lazy.

A code in a known vocabulary that does not look like one of it is left as it is.
"""

from __future__ import annotations

from pyspark.sql import Column
from pyspark.sql import functions as F

# ICD-9-CM: three digits; V and two digits; E and three digits (Official Guidelines for Coding, section I.A).
ICD9 = r"^([0-9]{3}|V[0-9]{2}|E[0-9]{3})\.?[0-9]{0,2}$"
# ICD-10 and ICD-10-CM: a letter, a digit and a digit or letter; up to four characters follow.
ICD10 = r"^([A-Z][0-9][0-9A-Z])\.?[0-9A-Z]{0,4}$"
# ATC (WHO): levels of 1, 3, 4, 5 and 7 characters.
ATC = (
    r"^([A-Z])",
    r"^([A-Z][0-9]{2})",
    r"^([A-Z][0-9]{2}[A-Z])",
    r"^([A-Z][0-9]{2}[A-Z]{2})",
    r"^([A-Z][0-9]{2}[A-Z]{2}[0-9]{2})",
)
ATC_WHOLE = r"^[A-Z]([0-9]{2}([A-Z]([A-Z]([0-9]{2})?)?)?)?$"
SEPARATOR = "//"


def icd9_category(code: Column) -> Column:
    """250.83, 25083 → 250; V4581 → V45; E8780 → E878."""
    return _first(F.upper(F.trim(code)), ICD9, code)


def icd10_category(code: Column) -> Column:
    """E11.9, E119 → E11; C7A.010 → C7A."""
    return _first(F.upper(F.trim(code)), ICD10, code)


def atc_level(code: Column, level: int) -> Column:
    """A10BA02 → A (level 1), A10, A10B, A10BA, A10BA02 (5); a code above that level is left as it is.

    Raises:
        ValueError: there is no such level.
    """
    if not 1 <= level <= len(ATC):
        raise ValueError(f"ATC has the levels 1 to {len(ATC)}, not {level}")
    upper = F.upper(F.trim(code))
    return F.when(upper.rlike(ATC_WHOLE), _first(upper, ATC[level - 1], upper)).otherwise(code)


def rolled_up(item: Column, *, atc: int = 3) -> Column:
    """An item `VOCABULARY//code` of ICD-9, ICD-10 or ATC at its category or level; any other as it is.

    Vocabularies by their names in OMOP (ICD9CM, ICD10, ICD10CM, ATC), or with a hyphen, in any case.
    """
    vocabulary = F.upper(F.regexp_replace(F.substring_index(item, SEPARATOR, 1), "[-_ ]", ""))
    at = F.instr(item, SEPARATOR)
    head, code = F.substring(item, F.lit(1), at + 1), F.substring(item, at + 2, F.length(item))
    rolled = (
        F.when(vocabulary.isin("ICD9CM", "ICD9"), icd9_category(code))
        .when(vocabulary.isin("ICD10", "ICD10CM", "ICD10GM"), icd10_category(code))
        .when(vocabulary == "ATC", atc_level(code, atc))
    )
    return F.when((at > 0) & rolled.isNotNull(), F.concat(head, rolled)).otherwise(item)


def _first(code: Column, pattern: str, otherwise: Column) -> Column:
    """What the first group of the pattern catches, or else the code as it was."""
    caught = F.regexp_extract(code, pattern, 1)
    return F.when(caught != "", caught).otherwise(otherwise)
