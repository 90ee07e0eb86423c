"""OMOP LOCATION, CARE_SITE and PROVIDER: they belong to no person, and what names them stays in bronze.

A name, a street or a town tells who works where and who lives near; state, the first digits of the ZIP code and
the kind of place remain.
"""

from __future__ import annotations

from dataclasses import dataclass

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from medlake.clean.judge import Event

UNKNOWN_SEX = 0


@dataclass(frozen=True)
class Place:
    """One table. `refers`: the id of another table → the column that names its row in the source."""

    event: Event
    refers: tuple[tuple[str, str, str], ...] = ()  # (column of the promise, table, column of the mapping)

    @property
    def name(self) -> str:
        """The column that names the row in its source."""
        return f"{self.event.table}_source_value"


def _event(table: str, **mapped: str) -> Event:
    name = f"{table}_source_value"
    return Event(table, {name: "string", **mapped}, required=(name,), time=None, identity=(name,))


LOCATION = Place(_event("location", state="string", zip="string", country_source_value="string"))
CARE_SITE = Place(
    _event("care_site", place_of_service_source_value="string", location_source_value="string"),
    refers=(("location_id", "location", "location_source_value"),),
)
PROVIDER = Place(
    _event(
        "provider", gender_concept_id="int", gender_source_value="string", specialty_source_value="string",
        specialty_source_vocabulary="string", specialty_source_name="string", care_site_source_value="string",
    ),
    refers=(("care_site_id", "care_site", "care_site_source_value"),),
)  # fmt: skip
PLACES = {place.event.table: place for place in (LOCATION, CARE_SITE, PROVIDER)}


def judged_places(rows: DataFrame, place: Place) -> DataFrame:
    """Typed rows with verdict: of several fit rows with one name in a source the first is kept.

    `rows` come from `judge.typed`. First is by what is mapped, the fullest first, then by file and line.
    """
    fit = F.size("reason_codes") == 0
    n_told = F.size(F.array_compact(F.array(*[F.col(n).cast("string") for n in place.event.mapped])))
    by_name = Window.partitionBy(fit, "source", place.name)
    first = by_name.orderBy(n_told.desc(), "mapped_row", "_record.file", "_record.row")
    return rows.withColumn("is_duplicate", fit & (F.row_number().over(first) > 1))


def tallied_places(judged: DataFrame) -> DataFrame:
    """Per source: rows_in, rows_kept, rows_quarantined, rows_merged."""
    bad, double = F.size("reason_codes") > 0, F.col("is_duplicate")
    return judged.groupBy("source").agg(
        F.count(F.lit(1)).alias("rows_in"), F.count_if(~bad & ~double).alias("rows_kept"),
        F.count_if(bad).alias("rows_quarantined"), F.count_if(~bad & double).alias("rows_merged"),
    )  # fmt: skip


def with_constants(rows: DataFrame, place: Place) -> DataFrame:
    """What OMOP asks for beside what is mapped."""
    if place.event.table == "provider":
        sex = F.coalesce("gender_concept_id", F.lit(UNKNOWN_SEX))
        return rows.withColumns({"gender_concept_id": sex, "specialty_concept_id": F.lit(0)})
    if place.event.table == "care_site":
        return rows.withColumn("place_of_service_concept_id", F.lit(0))
    return rows.withColumn("zip", F.substring("zip", 1, 3))


def natural_name(table: str, named: str) -> Column:
    """The natural key of a place, of which its id is a keyed hash; null where nothing is named."""
    told = F.struct(F.lit(table).alias("kind"), F.col("source"), F.col(named).alias("own"))
    return F.when(F.col(named).isNotNull(), F.to_json(told))
