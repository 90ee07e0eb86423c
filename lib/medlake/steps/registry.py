"""Which model is the newest of each task, and where MLflow keeps it: ops.lineage_edge read back."""

from __future__ import annotations

from dataclasses import dataclass

from pyspark.sql import functions as F

from medlake.steps.context import Context

TRAINED_ON = "gold.feature_matrix"


@dataclass(frozen=True)
class Registered:
    """One trained model. tables: name → version it was trained on."""

    task: str
    model: str
    digest: str
    run_id: str
    model_uri: str
    tables: dict[str, int]


def newest(ctx: Context) -> list[Registered]:
    """The newest model of each (task, model) that has out-of-fold predictions, by task and model."""
    edges = ctx.lake.read("ops.lineage_edge")
    last = edges.groupBy("task", "model").agg(F.max("night_id").alias("night_id"))
    alive = ctx.lake.read("gold.model_explanation").select("task", "model").distinct()
    rows = (
        edges.join(last, on=["task", "model", "night_id"], how="inner")
        .join(alive, on=["task", "model"], how="left_semi")
        .collect()  # a few rows per model
    )
    found: dict[tuple[str, str], Registered] = {}
    for r in sorted(rows, key=lambda r: (r["task"], r["model"], r["input_table"])):
        entry = found.setdefault(
            (r["task"], r["model"]),
            Registered(r["task"], r["model"], r["model_digest"], r["mlflow_run_id"], r["model_uri"], {}),
        )
        entry.tables[r["input_table"]] = r["input_version"]
    return list(found.values())
