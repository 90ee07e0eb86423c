"""A task is data: conf/tasks/<task>.toml says what is predicted, <task>.sql who is looked at, and when."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from medlake.grammar.errors import ConfigError

# What a task may ask for in `features`; `measurement:<source>` is also one.
FEATURE_GROUPS = ("age", "sex", "visits", "counts", "conditions", "drugs", "measurements", "comorbidity")
OF_SOURCE = "measurement:"
COHORT_COLUMNS = {"person_id": "bigint", "index_at": "timestamp", "boolean_value": "boolean"}


@dataclass(frozen=True)
class Task:
    """One question about the future of a patient, or (without models) one way to look at patients."""

    name: str
    about: str
    label_about: str
    horizon_days: int
    features: tuple[str, ...]
    models: tuple[str, ...]
    must_not_be_used_for: str
    cohort_sql: str
    model_params: Mapping[str, Mapping[str, float]] = field(default_factory=dict)


def parse_task(name: str, toml: str, cohort_sql: str | None) -> Task:
    """The task `name` from the text of its TOML and SQL files.

    Raises:
        ConfigError: lists every fault of the two files at once.
    """
    try:
        said: dict[str, Any] = tomllib.loads(toml)
    except tomllib.TOMLDecodeError as fault:
        raise ConfigError(f"conf/tasks/{name}.toml: {fault}") from fault
    wanted = {"about": str, "label_about": str, "horizon_days": int, "features": list, "models": list}
    wanted["must_not_be_used_for"] = str
    faults = [
        f"{n} is missing or not a {t.__name__}" for n, t in wanted.items() if not isinstance(said.get(n), t)
    ]
    faults += [f"unknown entry {n}" for n in said if n not in {*wanted, "model"}]
    groups = [
        g for g in said.get("features", []) if g not in FEATURE_GROUPS and not str(g).startswith(OF_SOURCE)
    ]
    faults += [
        f"unknown feature group {g!r}: choose from {', '.join(FEATURE_GROUPS)}, {OF_SOURCE}<source>"
        for g in groups
    ]
    faults += [f"conf/tasks/{name}.sql is missing"] if cohort_sql is None else []
    if faults or cohort_sql is None:
        raise ConfigError(f"conf/tasks/{name}.toml: " + "; ".join(faults))
    return Task(
        name=name,
        about=said["about"],
        label_about=said["label_about"],
        horizon_days=said["horizon_days"],
        features=tuple(said["features"]),
        models=tuple(said["models"]),
        must_not_be_used_for=" ".join(said["must_not_be_used_for"].split()),
        cohort_sql=cohort_sql,
        model_params=said.get("model", {}),
    )


def parse_tasks(tomls: Mapping[str, str], sqls: Mapping[str, str]) -> list[Task]:
    """All tasks, by name; raises ConfigError as `parse_task` does."""
    return [parse_task(name, tomls[name], sqls.get(name)) for name in sorted(tomls)]


def as_candidates(answer: DataFrame, task: str) -> DataFrame:
    """The answer of a task's SQL: task, person_id, index_at, boolean_value (null: outcome not known).

    Rows without a patient or an index time are no candidates.

    Raises:
        ConfigError: the SQL does not give the three columns in their types.
    """
    have = {f.name: f.dataType.simpleString() for f in answer.schema.fields}
    faults = [f"{n} {t}" for n, t in COHORT_COLUMNS.items() if have.get(n) != t]
    if faults:
        raise ConfigError(f"conf/tasks/{task}.sql must give {', '.join(faults)}; it gives {have}")
    return answer.where(F.col("person_id").isNotNull() & F.col("index_at").isNotNull()).select(
        F.lit(task).alias("task"), *COHORT_COLUMNS
    )


def cohort(candidates: DataFrame) -> DataFrame:
    """gold.cohort: who is looked at, and from when."""
    return candidates.select("task", "person_id", "index_at")


def labels(candidates: DataFrame) -> DataFrame:
    """gold.label: the outcomes that are known."""
    return candidates.where(F.col("boolean_value").isNotNull())
