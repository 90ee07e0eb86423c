"""Dates: every date of a person moves back by the same whole number of days, so intervals stay exact."""

from __future__ import annotations

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql import types as T

from medlake.privacy.pseudonym import keyed_hash

OLDEST_AGE = 90  # HIPAA Safe Harbor (45 CFR 164.514): ages over 89 are one class
DAY_SECONDS = 86_400


def offsets(persons: DataFrame, *, key: bytes, max_days: int) -> DataFrame:
    """(person_id, shift_days): −1 … −max_days, from a keyed hash of the id; never 0."""
    seen = keyed_hash(key, F.lit("shift").alias("kind"), F.col("person_id"))
    part = F.conv(F.substring(seen, 1, 8), 16, 10).cast("bigint")
    return persons.select("person_id").distinct().withColumn(
        "shift_days", (-(part % F.lit(max_days)) - 1).cast("int")
    )


def shifted(column: Column, kind: T.DataType, days: Column) -> Column:
    """The date or timestamp moved by `days`; the time of day stays."""
    if isinstance(kind, T.DateType):
        return F.date_add(column, days)
    return F.timestamp_seconds(F.unix_micros(column) / F.lit(1_000_000) + days * F.lit(DAY_SECONDS))


def year_of_birth(birth_date: Column, days: Column, as_of: Column) -> Column:
    """The year of the shifted birth date; nobody looks older than 90 at `as_of`."""
    return F.greatest(F.year(F.date_add(birth_date, days)), F.year(as_of) - F.lit(OLDEST_AGE)).cast("int")
