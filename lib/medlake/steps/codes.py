"""Code systems that come with the project (conf/ref): ICD's hierarchy, ICD-9 to ICD-10, comorbidities."""

from __future__ import annotations

from pyspark.sql import DataFrame

from medlake.features.comorbidity import PREFIXES, prefixes
from medlake.features.icd import CATEGORIES, TRANSLATIONS, category_rows, translation_rows
from medlake.steps.context import Context

FROM_CONF = ("ref.icd10_category", "ref.icd9_to_icd10")  # made from conf/ref alone: nothing of a source is in them


def reference(ctx: Context) -> dict[str, DataFrame]:
    """The tables of FROM_CONF."""
    said = ctx.conf.texts("ref", suffix=".tsv")
    categories = ctx.spark.createDataFrame(list(category_rows(said["icd10cm"])), CATEGORIES)
    translations = ctx.spark.createDataFrame(list(translation_rows(said["icd9_to_icd10cm"])), TRANSLATIONS)
    return dict(zip(FROM_CONF, (categories, translations), strict=True))


def of_comorbidity(ctx: Context) -> DataFrame:
    """The codes of comorbidities, as PREFIXES."""
    return ctx.spark.createDataFrame(prefixes(ctx.conf.toml("ref", "comorbidity.toml")), PREFIXES)
