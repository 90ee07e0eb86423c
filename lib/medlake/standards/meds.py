"""The open zone as MEDS 0.4: one long table of events per subject, the codes that occur, and a split.

A subject's rows lie in one file, in order of time, static ones first.
See https://github.com/Medical-Event-Data-Standard/meds.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import reduce
from typing import Any

import pyarrow as pa
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from medlake.standards.concepts import one_of

VERSION = "0.4.1"
# The five columns of the standard and three of ours, with the types its validator asks for.
SCHEMA = pa.schema(
    {
        "subject_id": pa.int64(), "time": pa.timestamp("us"), "code": pa.string(), "numeric_value": pa.float32(),
        "text_value": pa.large_string(), "unit": pa.string(), "source_table": pa.string(), "source_key": pa.int64(),
    }
)  # fmt: skip
ORDER = ("subject_id", "time", "code", "source_table", "source_key")
VISITS = {9201: "IP", 9202: "OP", 9203: "ER"}  # OMOP visit concepts → codes of OMOP's vocabulary Visit
SEXES = {8507: "M", 8532: "F"}
SPLITS = ("held_out", "tuning")  # a tenth each; the rest is train
TABLES = (
    "person", "death", "visit_occurrence", "condition_occurrence", "drug_exposure", "procedure_occurrence",
    "measurement", "observation", "note", "image_occurrence",
)  # fmt: skip


def events(silver: Mapping[str, DataFrame]) -> DataFrame:
    """The columns of SCHEMA, `description` of the code, and `is_static`. `silver`: the TABLES by name.

    A birth is put on 1 January of its year, for the open zone knows no more. `time` is null for what is static
    and for an event without time, which is not: MEDS cannot hold that one. A measurement is in the canonical unit of
    its code where it has one, else in its source's. A drug's number is its quantity.
    """
    person, visit, series = silver["person"], silver["visit_occurrence"], silver["image_occurrence"]
    measurement = silver["measurement"]
    sex = one_of(F.col("gender_concept_id"), SEXES)
    kind = F.concat(F.lit("Visit//"), one_of(F.col("visit_concept_id"), VISITS))
    number = F.coalesce("value_std", "value_as_number")
    unit = F.when(F.col("value_std").isNotNull(), F.col("unit_std")).otherwise(F.col("unit_source_value"))
    parts = [
        ("person", _events(person, "person_id", None, F.concat(F.lit("GENDER//"), sex))),
        ("person", _events(person, "person_id", None, F.concat(F.lit("RACE//"), "race_source_value"))),
        ("person", _events(person, "person_id", None, F.concat(F.lit("ETHNICITY//"), "ethnicity_source_value"))),
        ("person", _timed(person, "person_id", F.make_date("year_of_birth", F.lit(1), F.lit(1)), F.lit("MEDS_BIRTH"))),
        ("death", _events(silver["death"], "person_id", F.col("death_datetime"), F.lit("MEDS_DEATH"))),
        ("visit_occurrence", _events(visit, "visit_occurrence_id", F.col("visit_start_datetime"), kind)),
        ("visit_occurrence",
         _timed(visit, "visit_occurrence_id", F.col("visit_end_datetime"), F.concat(kind, F.lit("//end")))),
        ("condition_occurrence", _coded(silver["condition_occurrence"], "condition", "condition_start_datetime")),
        ("drug_exposure", _coded(
            silver["drug_exposure"], "drug", "drug_exposure_start_datetime", number=F.col("quantity"),
        )),
        ("procedure_occurrence", _coded(silver["procedure_occurrence"], "procedure", "procedure_datetime")),
        ("measurement", _coded(
            measurement, "measurement", "measurement_datetime", number=number, unit=unit,
            text=F.when(number.isNull(), F.col("value_source_value")),
        )),
        ("observation", _coded(
            silver["observation"], "observation", "observation_datetime", number=F.col("value_as_number"),
            unit=F.col("unit_source_value"), text=F.when(F.col("value_as_number").isNull(), F.col("value_as_string")),
        )),
        ("note", _events(
            silver["note"], "note_id", F.col("note_datetime"),
            F.concat(F.lit("NOTE//"), F.coalesce("note_class_source_value", F.lit("unknown"))), text=F.col("note_text"),
        )),
        ("image_occurrence", _events(
            series, "image_occurrence_id", F.col("series_at"),
            F.concat(F.lit("DICOM//"), F.coalesce("modality", F.lit("unknown"))), text=F.col("description"),
        )),
    ]  # fmt: skip
    named = [part.withColumn("source_table", F.lit(name)) for name, part in parts]
    return reduce(DataFrame.unionByName, named).where(F.col("code").isNotNull())


def _events(
    rows: DataFrame, key: str, time: Column | None, code: Column, *, number: Column | None = None,
    text: Column | None = None, unit: Column | None = None, description: Column | None = None,
) -> DataFrame:  # fmt: skip
    nothing = F.lit(None)
    return rows.select(
        F.col("person_id").alias("subject_id"),
        (nothing if time is None else time).cast("timestamp_ntz").alias("time"),
        code.alias("code"),
        (nothing if number is None else number).cast("float").alias("numeric_value"),
        (nothing if text is None else text).cast("string").alias("text_value"),
        (nothing if unit is None else unit).cast("string").alias("unit"),
        F.col(key).cast("bigint").alias("source_key"),
        (nothing if description is None else description).cast("string").alias("description"),
        F.lit(time is None).alias("is_static"),
    )


def _timed(rows: DataFrame, key: str, time: Column, code: Column) -> DataFrame:
    """Events that are none where their time is not known."""
    return _events(rows, key, time, code).where(F.col("time").isNotNull())


def _coded(rows: DataFrame, word: str, time: str, **values: Any) -> DataFrame:
    """Events of a table whose rows have a code of a vocabulary: VOCABULARY//code."""
    key = next(c for c in rows.columns if c.startswith(word) and c.endswith("_id") and not c.endswith("_concept_id"))
    code = F.concat(f"{word}_source_vocabulary", F.lit("//"), f"{word}_source_value")
    return _events(rows, key, F.col(time), code, description=F.col(f"{word}_source_name"), **values)


def _fit(rows: DataFrame) -> DataFrame:
    """The events that MEDS can hold."""
    return rows.where(F.col("is_static") | F.col("time").isNotNull())


def sharded(rows: DataFrame) -> DataFrame:
    """Events that MEDS can hold, as SCHEMA has them: a subject in one partition, ordered, static ones first."""
    first, second, *rest = ORDER
    fit = _fit(rows).select(*SCHEMA.names)
    return fit.repartition("subject_id").sortWithinPartitions(first, F.col(second).asc_nulls_first(), *rest)


def codes(rows: DataFrame) -> DataFrame:
    """metadata/codes.parquet: each code that occurs, the first of its names by alphabet, no parents."""
    named = _fit(rows).groupBy("code").agg(F.min("description").alias("description"))
    return named.withColumn("parent_codes", F.lit(None).cast("array<string>"))


def splits(person: DataFrame) -> DataFrame:
    """metadata/subject_splits.parquet: each subject's split, by a fixed hash of the id: the same in every export."""
    tenth = F.pmod(F.xxhash64("person_id"), F.lit(10))
    split = one_of(tenth, dict(enumerate(SPLITS)), other="train")
    return person.select(F.col("person_id").alias("subject_id"), split.alias("split"))


def metadata(*, name: str, version: str, etl_version: str, created_at: str) -> dict[str, Any]:
    """metadata/dataset.json."""
    return {
        "dataset_name": name, "dataset_version": version, "etl_name": "medlake", "etl_version": etl_version,
        "meds_version": VERSION, "created_at": created_at, "code_modifier_columns": ["unit"],
        "raw_source_id_columns": ["source_key"], "other_extension_columns": ["source_table"],
    }  # fmt: skip
