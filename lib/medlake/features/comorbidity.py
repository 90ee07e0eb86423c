"""Charlson's and Elixhauser's comorbidity indices from ICD-9-CM and ICD-10 codes, by Quan's prefixes."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from medlake.features.as_of import CASE, VALUE
from medlake.grammar.errors import ConfigError

SYSTEM_OF = {"ICD10": "icd10", "ICD10CM": "icd10", "ICD10GM": "icd10", "ICD9CM": "icd9"}
LENGTHS = (3, 4, 5)  # of prefixes
# one row per prefix: index, category, the category that it makes superfluous, code system, prefix, weights by name
PREFIXES = "index string, category string, over string, system string, prefix string, weights map<string, int>"
INDICES = ("charlson", "elixhauser")
WEIGHTS = ("charlson", "quan_2011", "van_walraven")
RANGE = re.compile(r"^(?P<head>[A-Z]?)(?P<first>\d+)(?:-(?P=head)(?P<last>\d+))?$")


def prefixes(said: Mapping[str, Any]) -> list[tuple[Any, ...]]:
    """conf/ref/comorbidity.toml as rows of PREFIXES.

    Raises:
        ConfigError: a word is no code and no range of codes.
    """
    return [
        (index, name, of.get("over"), system, prefix, of["weights"])
        for index, categories in said.items()
        for name, of in categories.items()
        for system in ("icd10", "icd9")
        for word in of[system].split()
        for prefix in _spelled_out(word)
    ]


def _spelled_out(word: str) -> Iterator[str]:
    told = RANGE.fullmatch(word)
    if told is None or (told["last"] and len(told["last"]) != len(told["first"])):
        raise ConfigError(f"conf/ref/comorbidity.toml: {word} is no code and no range of codes")
    first, last = told["first"], told["last"] or told["first"]
    yield from (f"{told['head']}{i:0{len(first)}}" for i in range(int(first), int(last) + 1))


def normal(code: Column) -> Column:
    """A code as it is compared: capitals, no point, no marks of ICD-10."""
    return F.regexp_replace(F.upper(F.trim(code)), r"[^A-Z0-9]", "")


def categories(conditions: DataFrame, prefixes: DataFrame, *, by: tuple[str, ...] = ("person_id",)) -> DataFrame:
    """(by, index, category, weights): which comorbidities the codes of each case tell, one row each.

    `conditions`: rows of silver.condition_occurrence. Where a graver category stands the milder one does not count.
    """
    systems = F.create_map(*[F.lit(x) for pair in SYSTEM_OF.items() for x in pair])
    codes = conditions.select(
        *by, F.try_element_at(systems, "condition_source_vocabulary").alias("system"),
        normal(F.col("condition_source_value")).alias("code"),
    )  # fmt: skip
    starts = F.array_distinct(F.array(*[F.substring("code", 1, n) for n in LENGTHS]))
    parts = codes.where(F.col("system").isNotNull()).withColumn("prefix", F.explode(starts)).drop("code").distinct()
    found = parts.join(F.broadcast(prefixes), on=["system", "prefix"], how="inner")
    one = found.groupBy(*by, "index", "category", "over").agg(F.any_value("weights").alias("weights"))
    graver = one.where(F.col("over").isNotNull()).select(*by, "index", F.col("over").alias("category"))
    return one.join(graver, on=[*by, "index", "category"], how="left_anti").drop("over")


def indices(conditions: DataFrame, prefixes: DataFrame, *, by: tuple[str, ...] = ("person_id",)) -> DataFrame:
    """One row per case with ICD codes: charlson, charlson_quan_2011, elixhauser_van_walraven, and what they count.

    A case without any ICD code is not here: nothing is known of it. One with codes and no comorbidity has 0.
    """
    coded = conditions.where(F.col("condition_source_vocabulary").isin(*SYSTEM_OF)).select(*by).distinct()
    told = categories(conditions, prefixes, by=by)
    named = {i: F.when(F.col("index") == i, F.col("category")) for i in INDICES}
    sums = [F.sum(F.try_element_at("weights", F.lit(w))).alias(w) for w in WEIGHTS]
    lists = [F.array_sort(F.collect_set(column)).alias(i + "_categories") for i, column in named.items()]
    found = told.groupBy(*by).agg(*sums, *lists)
    zero = F.lit(0).cast("bigint")
    none = F.array().cast("array<string>")
    return coded.join(found, on=list(by), how="left").select(
        *by,
        F.coalesce("charlson", zero).cast("int").alias("charlson"),
        F.coalesce("quan_2011", zero).cast("int").alias("charlson_quan_2011"),
        F.coalesce("van_walraven", zero).cast("int").alias("elixhauser_van_walraven"),
        *[F.coalesce(f"{i}_categories", none).alias(f"{i}_categories") for i in INDICES],
    )


NAMES = {
    "charlson": "Charlson comorbidity index",
    "charlson_quan_2011": "Charlson comorbidity index, weights of 2011",
    "elixhauser_van_walraven": "Elixhauser comorbidity score by van Walraven",
}


def as_features(cohort: DataFrame, conditions: DataFrame, prefixes: DataFrame) -> DataFrame:
    """The indices as features (see `as_of`) from what was recorded before the index time; missing without ICD codes."""
    known = cohort.select(*CASE).join(conditions, on="person_id", how="inner")
    seen = known.where(F.col("condition_start_datetime").cast("timestamp") < F.col("index_at"))
    told = indices(seen, prefixes, by=CASE)
    each = [F.struct(F.lit(n).alias("feature"), F.lit(said).alias("name"), F.col(n).cast("double").alias("value"))
            for n, said in NAMES.items()]  # fmt: skip
    rows = told.select(*CASE, F.explode(F.array(*each)).alias("told")).select(*CASE, "told.*")
    said = {"unit": "points", "source_table": "condition_occurrence"}
    constants = {n: F.lit(v) for n, v in said.items()} | {
        "absent": F.lit(None).cast("double"), "top": F.lit(None).cast("int")
    }  # fmt: skip
    return rows.withColumns(constants).select(*VALUE)
