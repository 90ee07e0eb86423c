"""What was known about a patient before an index time: one long table of values.

Every function takes a cohort (task, person_id, index_at) and silver events and gives one row per case and
feature: task, person_id, index_at, feature, name (in words), unit, source_table, value, and two things said
of the feature: `absent`, the value of a patient without such events (0 for counts and yes/no features, null
for measured values), and `top`, how many of the most frequent features of its kind are wanted (null: all).
Only events strictly before `index_at` are seen.
"""

from __future__ import annotations

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from medlake.features.baskets import item

CASE = ("task", "person_id", "index_at")
VALUE = (*CASE, "feature", "name", "unit", "source_table", "value", "absent", "top")
DAYS_PER_YEAR = 365
FEMALE, MALE = 8532, 8507  # OMOP gender concepts
VISIT_KINDS = {9201: "inpatient", 9202: "outpatient", 9203: "emergency"}  # OMOP visit concepts; others: other
START = {"condition": "condition_start_datetime", "drug": "drug_exposure_start_datetime"}
TABLE = {"condition": "condition_occurrence", "drug": "drug_exposure"}
NOT_USABLE = (
    "value_out_of_range"  # a measurement so flagged says more about the device than about the patient
)


def ages(cohort: DataFrame, person: DataFrame) -> DataFrame:
    """Age in years at the index time; missing where the year of birth is."""
    years = (F.year("index_at") - F.col("year_of_birth")).cast("double")
    return _of_person(cohort, person, "age", "Age at the index time", "years", years)


def sexes(cohort: DataFrame, person: DataFrame) -> DataFrame:
    """1 for women, 0 for men, missing where unknown."""
    female = F.when(F.col("gender_concept_id") == FEMALE, 1.0).when(F.col("gender_concept_id") == MALE, 0.0)
    return _of_person(cohort, person, "female", "Is female", None, female)


def visit_counts(cohort: DataFrame, visit: DataFrame) -> DataFrame:
    """Visits of each kind that started in the 365 days before the index time."""
    kind = F.lit("other")
    for concept, name in VISIT_KINDS.items():
        kind = F.when(F.col("visit_concept_id") == concept, name).otherwise(kind)
    recent = F.col("at") >= F.col("index_at") - F.expr(f"INTERVAL {DAYS_PER_YEAR} DAYS")
    seen = _before(cohort, visit.withColumn("kind", kind), "visit_start_datetime").where(recent)
    named = seen.withColumns(
        {
            "feature": F.concat(F.lit("visits//"), "kind"),
            "name": F.concat(F.initcap("kind"), F.lit(" visits in the last 365 days")),
            "unit": F.lit("visits"),
        }
    )
    return _valued(named, F.count(F.lit(1)), "visit_occurrence", absent=0.0)


def distinct_counts(cohort: DataFrame, events: DataFrame, kind: str) -> DataFrame:
    """Number of different conditions or drugs (`kind`) ever recorded before the index time."""
    named = _before(cohort, events.withColumn("item", item(kind)), START[kind]).withColumns(
        {
            "feature": F.lit(f"n_{kind}s"),
            "name": F.lit(f"Different {kind}s recorded so far"),
            "unit": F.lit(f"{kind}s"),
        }
    )
    return _valued(named, F.count_distinct("item"), TABLE[kind], absent=0.0)


def ever_had(cohort: DataFrame, events: DataFrame, kind: str, *, top: int) -> DataFrame:
    """1 for each condition or drug (`kind`) recorded before the index time."""
    seen = _before(cohort, events, START[kind])
    named = _named(seen, kind).withColumn("unit", F.lit(None).cast("string"))
    return _valued(named, F.lit(1.0), TABLE[kind], absent=0.0, top=top)


def last_measurements(
    cohort: DataFrame, measurement: DataFrame, *, top: int | None = None, source: str | None = None
) -> DataFrame:
    """The last value of each measurement before the index time; of one `source` only where it is given.

    Values are `value_std`, or `value_as_number` where there is no canonical unit. Rows without a number and
    rows flagged `value_out_of_range` are not used. Of two values at one time the larger id counts.
    """
    value = F.coalesce("value_std", "value_as_number")
    usable = value.isNotNull() & ~F.coalesce(F.array_contains("qc", NOT_USABLE), F.lit(False))
    if source is not None:
        usable &= F.col("source") == source
    events = measurement.where(usable).withColumns(
        {"number": value, "unit": F.coalesce("unit_std", "unit_source_value")}
    )
    named = _named(_before(cohort, events, "measurement_datetime"), "measurement")
    last = F.max_by("number", F.struct("at", "measurement_id"))
    return _valued(named, last, "measurement", absent=None, top=top)


def _before(cohort: DataFrame, events: DataFrame, start: str) -> DataFrame:
    """Events of the cohort's patients strictly before the index time; `at` is when."""
    known = events.withColumn("at", F.col(start).cast("timestamp"))
    return (
        cohort.select(*CASE).join(known, on="person_id", how="inner").where(F.col("at") < F.col("index_at"))
    )


def _named(seen: DataFrame, kind: str) -> DataFrame:
    """Adds `feature` and `name`, the source's word for the code, or the code where it has none."""
    return seen.withColumns(
        {
            "feature": F.concat(F.lit(f"{kind}//"), item(kind)),
            "name": F.coalesce(f"{kind}_source_name", item(kind)),
        }
    ).where(F.col("feature").isNotNull())


def _valued(
    named: DataFrame, value: Column, table: str, *, absent: float | None, top: int | None = None
) -> DataFrame:
    """One value per case and feature, under the patient's most frequent name and unit (ties: alphabet)."""
    return (
        named.groupBy(*CASE, "feature")
        .agg(
            value.cast("double").alias("value"),
            F.mode("name", True).alias("name"),
            F.mode("unit", True).alias("unit"),
        )
        .withColumns(
            {
                "source_table": F.lit(table),
                "absent": F.lit(absent).cast("double"),
                "top": F.lit(top).cast("int"),
            }
        )
        .select(*VALUE)
    )


def _of_person(
    cohort: DataFrame, person: DataFrame, feature: str, name: str, unit: str | None, value: Column
) -> DataFrame:
    """A feature that every case has one row of, null where it is unknown."""
    return cohort.join(person, on="person_id", how="left").select(
        *CASE,
        F.lit(feature).alias("feature"),
        F.lit(name).alias("name"),
        F.lit(unit).cast("string").alias("unit"),
        F.lit("person").alias("source_table"),
        value.alias("value"),
        F.lit(None).cast("double").alias("absent"),
        F.lit(None).cast("int").alias("top"),
    )
