"""Feature definitions and the feature matrix, from the values that tasks ask for."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from medlake.features import as_of
from medlake.features.as_of import CASE
from medlake.features.comorbidity import as_features
from medlake.features.tasks import OF_SOURCE


@dataclass(frozen=True)
class Silver:
    """The silver tables that features are made from."""

    person: DataFrame
    visit_occurrence: DataFrame
    condition_occurrence: DataFrame
    drug_exposure: DataFrame
    measurement: DataFrame


@dataclass(frozen=True)
class Sizes:
    """How many of the most frequent codes of a cohort become features."""

    conditions: int = 20
    drugs: int = 12
    measurements: int = 15


def feature_values(
    cohort: DataFrame, silver: Silver, groups: Mapping[str, Sequence[str]], sizes: Sizes | None = None,
    prefixes: DataFrame | None = None,
) -> DataFrame:  # fmt: skip
    """All feature values of all tasks, long (see `as_of`); `part` keeps a task's order of groups.

    groups: task → the feature groups it asks for. Tasks that ask for the same group are computed together.
    prefixes: the codes of comorbidities (see `comorbidity`), for tasks that ask for these.
    """
    asked = sorted({group for wanted in groups.values() for group in wanted})
    parts = []
    for group in asked:
        tasks = [task for task, wanted in groups.items() if group in wanted]
        of_tasks = cohort.where(F.col("task").isin(tasks))
        order = F.create_map(*[F.lit(x) for task in tasks for x in (task, list(groups[task]).index(group))])
        for at, values in enumerate(_group(group, of_tasks, silver, sizes or Sizes(), prefixes)):
            parts.append(values.withColumn("part", order[F.col("task")] * 10 + at))
    return reduce(DataFrame.unionByName, parts)


def _group(
    group: str, cohort: DataFrame, silver: Silver, sizes: Sizes, prefixes: DataFrame | None
) -> list[DataFrame]:
    if group.startswith(OF_SOURCE):
        return [as_of.last_measurements(cohort, silver.measurement, source=group.removeprefix(OF_SOURCE))]
    conditions, drugs = silver.condition_occurrence, silver.drug_exposure
    if group == "comorbidity":
        assert prefixes is not None, "the codes of comorbidities"
        return [as_features(cohort, conditions, prefixes)]
    makers: dict[str, Callable[[], list[DataFrame]]] = {
        "age": lambda: [as_of.ages(cohort, silver.person)],
        "sex": lambda: [as_of.sexes(cohort, silver.person)],
        "visits": lambda: [as_of.visit_counts(cohort, silver.visit_occurrence)],
        "counts": lambda: [
            as_of.distinct_counts(cohort, conditions, "condition"),
            as_of.distinct_counts(cohort, drugs, "drug"),
        ],
        "conditions": lambda: [as_of.ever_had(cohort, conditions, "condition", top=sizes.conditions)],
        "drugs": lambda: [as_of.ever_had(cohort, drugs, "drug", top=sizes.drugs)],
        "measurements": lambda: [as_of.last_measurements(cohort, silver.measurement, top=sizes.measurements)],
    }
    return makers[group]()


def definitions(values: DataFrame) -> DataFrame:
    """One row per task and feature that is kept: gold.feature_def with `part` and `absent`.

    Of a kind with a `top`, the features known of most patients are kept; ties by name of the feature.
    Positions follow the task's order of groups, then the feature's name. Name and unit are those of most
    patients.
    """
    by_frequency = Window.partitionBy("task", "part").orderBy(F.desc("n_persons"), "feature")
    by_part = Window.partitionBy("task").orderBy("part", "feature")
    return (
        values.groupBy("task", "part", "feature", "source_table", "absent", "top")
        .agg(
            F.count_distinct("person_id").alias("n_persons"),
            F.mode("name", True).alias("about"),
            F.mode("unit", True).alias("unit"),
        )
        .withColumn("rank", F.row_number().over(by_frequency))
        .where(F.col("top").isNull() | (F.col("rank") <= F.col("top")))
        .withColumn("position", (F.row_number().over(by_part) - 1).cast("int"))
        .drop("n_persons", "rank", "top")
    )


def feature_def(kept: DataFrame) -> DataFrame:
    """gold.feature_def, from `definitions`."""
    return kept.select("task", "position", "feature", "about", "unit", "source_table")


def feature_matrix(cohort: DataFrame, values: DataFrame, kept: DataFrame) -> DataFrame:
    """gold.feature_matrix: one row per case of the cohort; `kept` from `definitions`."""
    wide = kept.groupBy("task").agg(
        F.array_sort(F.collect_list(F.struct("position", "absent"))).alias("slots")
    )
    places = kept.select("task", "part", "feature", "position")
    known = (
        values.join(F.broadcast(places), on=["task", "part", "feature"], how="inner")
        .groupBy(*CASE)
        .agg(F.map_from_entries(F.collect_list(F.struct("position", "value"))).alias("known"))
    )
    filled = F.transform(
        "slots", lambda slot: F.coalesce(F.try_element_at("known", slot["position"]), slot["absent"])
    )
    return (
        cohort.select(*CASE)
        .join(F.broadcast(wide), on="task", how="inner")
        .join(known, on=list(CASE), how="left")
        .select(*CASE, filled.alias("features"))
    )
