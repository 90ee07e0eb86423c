"""Persons: every source's record of somebody → vault.identity (who it is) and silver.person (what may be known)."""

from __future__ import annotations

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from medlake.clean.judge import Event, to_the_day
from medlake.grammar.quality import Rule, flags, with_verdict

IDENTITY = (
    "family_name", "given_name", "maiden_name", "prefix", "birth_date", "gender_concept_id", "address_line", "city",
    "state", "zip", "phone", "email", "national_id", "medical_record_number", "other_id",
)  # fmt: skip
MAPPED = ("race_concept_id", "ethnicity_concept_id")
MALE, FEMALE, UNKNOWN = 8507, 8532, 0

EVENT = Event(
    table="person",
    mapped={
        "person_source_value": "string",
        "gender_concept_id": "int",
        "gender_source_value": "string",
        "year_of_birth": "int",
        "race_source_value": "string",
        "race_concept_id": "int",
        "ethnicity_concept_id": "int",
        "ethnicity_source_value": "string",
        "birth_date": "date",
        "family_name": "string",
        "given_name": "string",
        "maiden_name": "string",
        "prefix": "string",
        "address_line": "string",
        "city": "string",
        "state": "string",
        "zip": "string",
        "phone": "string",
        "email": "string",
        "national_id": "string",
        "medical_record_number": "string",
        "other_id": "string",
    },
    required=("person_source_value",),
    time="birth_date",
)
RULES = (
    Rule("date_in_future", "birth_date > as_of", True, "Nobody is born after the record came in.", "time order"),
    Rule("before_1900", "year(birth_date) < 1900", True, "No living patient was born before 1900.", "time order"),
    Rule(
        "gender_unknown", f"gender_concept_id NOT IN ({MALE}, {FEMALE})", False, "Sex is neither male nor female.",
        "vocabulary",
    ),
    Rule(
        "birth_missing", "birth_date IS NULL AND year_of_birth IS NULL", False, "No birth date or year is given.",
        "completeness",
    ),
)  # fmt: skip
# What only all records of a person together can tell; the first known value counts.
CONFLICTS = (
    Rule("gender_conflict", "size(_sexes) > 1", False, "The sources do not agree on the sex.", "contradiction"),
    Rule("birth_conflict", "size(_births) > 1", False, "The sources do not agree on the birth date.", "contradiction"),
)  # fmt: skip


def judged_persons(rows: DataFrame, *, as_of: str) -> DataFrame:
    """Typed rows with verdict: one fit row per key of a source, the others `is_duplicate`.

    `rows` come from `judge.typed`. Of two records with one key the first by file and line is kept.
    """
    known = rows.withColumns(
        {
            "as_of": F.to_date(F.lit(as_of)),
            "gender_concept_id": F.coalesce("gender_concept_id", F.lit(UNKNOWN)),
        }
    )
    verdict = with_verdict(known, RULES)
    fit = F.size("reason_codes") == 0
    by_key = Window.partitionBy(fit, "source", "person_source_value").orderBy(
        "_record.file", "_record.row", "mapped_row"
    )
    return verdict.withColumn("is_duplicate", fit & (F.row_number().over(by_key) > 1))


def identities(fit: DataFrame, deaths: DataFrame) -> DataFrame:
    """vault.identity: one row per source key, from fit persons and the typed rows of death.

    The earliest death counts where a source tells of several; one known to the month or year alone is no day.
    """
    died = (
        deaths.where(F.size("reason_codes") == 0)
        .groupBy("source", "person_source_value")
        .agg(F.min(F.when(to_the_day("death_datetime"), F.col("death_datetime"))).alias("death_datetime"))
    )
    return fit.select("source", "person_source_value", *IDENTITY).join(
        died, on=["source", "person_source_value"], how="left"
    )


def persons(fit: DataFrame, keys: DataFrame) -> DataFrame:
    """silver.person before de-identification: one row per person from all its source records.

    `keys`: source, person_source_value, person_id, registered_batch, shift_days. Each column is the first known
    value in the order in which the keys were registered, then of source and key. Flags of all records are kept.
    """
    joined = fit.join(keys, on=["source", "person_source_value"], how="inner")
    order = F.struct("registered_batch", "source", "person_source_value")
    sexes = F.collect_set(F.nullif("gender_concept_id", F.lit(UNKNOWN)))
    told = joined.groupBy("person_id", "shift_days").agg(
        F.coalesce(_first(F.nullif("gender_concept_id", F.lit(UNKNOWN)), order), F.lit(UNKNOWN)).alias(
            "gender_concept_id"
        ),
        *[_first(F.col(c), order).alias(c) for c in ("birth_date", "year_of_birth", "gender_source_value")],
        *[
            _first(F.col(c), order).alias(c)
            for c in ("race_source_value", "ethnicity_source_value", "source")
        ],
        *[F.coalesce(_first(F.nullif(c, F.lit(UNKNOWN)), order), F.lit(UNKNOWN)).alias(c) for c in MAPPED],
        F.count_distinct("source").cast("int").alias("n_sources"),
        F.flatten(F.collect_list("qc")).alias("qc"),
        sexes.alias("_sexes"),
        F.collect_set("birth_date").alias("_births"),
    )
    flagged = told.withColumn("qc", F.array_sort(F.array_distinct(flags(CONFLICTS))))
    return flagged.drop("_sexes", "_births")


def _first(column: Column, order: Column) -> Column:
    return F.min_by(column, F.when(column.isNotNull(), order))
