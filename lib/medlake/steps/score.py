"""score: every patient's risk, out of fold where the outcome is known, else by the final model."""

from __future__ import annotations

from functools import reduce

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from medlake.doors.ledger import Counts
from medlake.doors.tracking import Tracking
from medlake.explain.weights import top_reasons
from medlake.models import MODELS
from medlake.models.fitting import scored
from medlake.steps.context import Context
from medlake.steps.registry import Registered, newest

MODEL = "task string, model string, model_digest string"
COLUMNS = ("task", "model", "model_digest", "person_id", "index_at", "risk", "fold", "top_reasons")


def run(ctx: Context) -> Counts:
    """Write gold.risk_prediction."""
    tracking = Tracking(ctx.lake.root / "mlflow")
    names = _names(ctx)
    unlabelled = _unlabelled(ctx)
    waiting = {r["task"] for r in unlabelled.select("task").distinct().collect()}  # names of tasks
    entries = newest(ctx)
    models = ctx.spark.createDataFrame([(e.task, e.model, e.digest) for e in entries], MODEL)
    known = ctx.lake.read("gold.out_of_fold_prediction").join(F.broadcast(models), on=["task", "model"], how="inner")
    late = [_by_final_model(tracking, e, unlabelled, names[e.task]) for e in entries if e.task in waiting]
    ctx.lake.merge("gold.risk_prediction", reduce(DataFrame.unionByName, [known.select(*COLUMNS), *late]))
    return Counts()


def _names(ctx: Context) -> dict[str, list[str]]:
    """Task → what each feature is called, in the order of the feature array."""
    rows = ctx.lake.read("gold.feature_def").select("task", "position", "about").collect()  # one per feature
    found: dict[str, list[str]] = {}
    for row in sorted(rows, key=lambda r: (r["task"], r["position"])):
        found.setdefault(row["task"], []).append(row["about"])
    return found


def _unlabelled(ctx: Context) -> DataFrame:
    matrix, label = ctx.lake.read("gold.feature_matrix"), ctx.lake.read("gold.label")
    return matrix.join(label, on=["task", "person_id", "index_at"], how="left_anti")


def _by_final_model(
    tracking: Tracking, entry: Registered, unlabelled: DataFrame, names: list[str]
) -> DataFrame:
    model = MODELS[entry.model]
    cases = unlabelled.where(F.col("task") == entry.task)
    reasons = top_reasons(model.kind, names)
    answered = scored(cases, model, tracking.load(entry.model_uri)).withColumn("top_reasons", reasons)
    said = {"task": F.lit(entry.task), "model": F.lit(entry.model), "model_digest": F.lit(entry.digest)}
    return answered.withColumns(said).select(*COLUMNS)
