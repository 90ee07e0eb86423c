"""ICD-9-CM and ICD-10-CM codes in their hierarchy: chapter › block › category › code."""

from __future__ import annotations

from collections.abc import Iterator

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from medlake.features.comorbidity import normal

# one row per ICD-10-CM category, and one per ICD-9-CM code with its ICD-10-CM translation
CATEGORIES = ", ".join(f"{level} string, {level}_name string" for level in ("category", "block", "chapter"))
TRANSLATIONS = "icd9 string, icd10 string"
OF_ICD10 = ("ICD10", "ICD10CM")
POINT_AFTER = 3  # characters of a category


def category_rows(text: str) -> Iterator[tuple[str, ...]]:
    """Rows of CATEGORIES from conf/ref/icd10cm.tsv: chapters and blocks before the categories that they hold."""
    chapter = block = ("", "")
    for line in text.splitlines():
        kind, code, name = line.split("\t")
        if kind == "chapter":
            chapter = (code, name)
        elif kind == "block":
            block = (code, name)
        else:
            yield (code, name, *block, *chapter)


def translation_rows(text: str) -> Iterator[tuple[str, str]]:
    """Rows of TRANSLATIONS from conf/ref/icd9_to_icd10cm.tsv."""
    for line in text.splitlines():
        icd9, icd10 = line.split("\t")
        yield icd9, icd10


def with_icd(conditions: DataFrame, categories: DataFrame, translations: DataFrame) -> DataFrame:
    """Adds icd10_code, and category, block and chapter with their names; null for codes of other systems.

    An ICD-9-CM code stands where the one does to which CMS's general equivalence map translates it (the first of its
    entries). `categories`: CATEGORIES; `translations`: TRANSLATIONS. The source's own code stays as it is.
    """
    code = normal(F.col("condition_source_value"))
    vocabulary = F.col("condition_source_vocabulary")
    told = conditions.withColumn("_icd9", F.when(vocabulary == "ICD9CM", code)).join(
        F.broadcast(translations.withColumnsRenamed({"icd9": "_icd9", "icd10": "_as_icd10"})), on="_icd9", how="left"
    )
    icd10 = F.coalesce("_as_icd10", F.when(vocabulary.isin(*OF_ICD10), code))
    rest = F.substring(F.col("_code"), POINT_AFTER + 1, 10)
    tail = F.when(rest != "", F.concat(F.lit("."), rest)).otherwise("")
    spelled = F.concat(F.substring("_code", 1, POINT_AFTER), tail)
    placed = told.withColumn("_code", icd10).withColumn("category", F.substring("_code", 1, POINT_AFTER))
    named = placed.withColumn("icd10_code", spelled).join(F.broadcast(categories), on="category", how="left")
    return named.drop("_icd9", "_as_icd10", "_code")
