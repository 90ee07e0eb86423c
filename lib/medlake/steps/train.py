"""train: every model of every task, cross-validated by patient, and kept in MLflow."""

from __future__ import annotations

from functools import partial, reduce

from pyspark.sql import DataFrame, Row
from pyspark.sql import functions as F

from medlake.doors.ledger import Counts, code_version
from medlake.doors.tracking import ModelRun, Tracking
from medlake.explain.weights import model_explanation, top_reasons
from medlake.features.tasks import Task
from medlake.grammar.contract import promise
from medlake.grammar.errors import UsageError
from medlake.models import MODELS
from medlake.models.fitting import Trained, trained
from medlake.steps.context import Context
from medlake.steps.tasks import tasks

READS = ("gold.feature_def", "gold.feature_matrix", "gold.label", "gold.subject_split")
MIN_PER_FOLD = 2  # of each outcome, on average; a task with fewer is not trained
Edge = tuple[object, ...]  # a row of ops.lineage_edge


def run(ctx: Context) -> Counts:
    """Write gold.out_of_fold_prediction, model_explanation and ops.lineage_edge; models go to MLflow.

    Raises:
        UsageError: the command names a model that there is not.
    """
    if ctx.only is not None and ctx.only not in MODELS:
        raise UsageError(f"there is no model {ctx.only}: choose from {', '.join(MODELS)}")
    tables = {name: ctx.lake.read(name) for name in READS}
    names = _feature_names(tables["gold.feature_def"])
    enough = _trainable(ctx, tables["gold.label"], [t for t in tasks(ctx) if t.models and t.name in names])
    tracking = Tracking(ctx.lake.root / "mlflow")
    found = ctx.side_by_side([partial(_train, ctx, tracking, task, names[task.name], tables) for task in enough])
    fits = {task.name: of_task for task, (of_task, _) in zip(enough, found, strict=True)}
    said = [_out_of_fold(task, t, names[task]) for task, of_task in fits.items() for t in of_task]
    _write(ctx, "gold.out_of_fold_prediction", said)
    weights = {
        (task, t.model.name): (t.model.kind, t.model.weights(t.fitted.stages))
        for task, of_task in fits.items()
        for t in of_task
    }
    _write(ctx, "gold.model_explanation", [model_explanation(tables["gold.feature_def"], weights)])
    edges = [edge for _, of_task in found for edge in of_task]
    if edges:
        schema = promise("ops.lineage_edge").schema
        ctx.lake.merge("ops.lineage_edge", ctx.spark.createDataFrame(edges, schema), keep=True)
    return Counts()


def _feature_names(definitions: DataFrame) -> dict[str, list[tuple[str, str]]]:
    """Task → (feature, about) in the order of the feature array."""
    found: dict[str, list[Row]] = {}
    for row in definitions.select("task", "position", "feature", "about").collect():  # one row per feature
        found.setdefault(row["task"], []).append(row)
    return {
        task: [(r["feature"], r["about"]) for r in sorted(rows, key=lambda r: r["position"])]
        for task, rows in found.items()
    }


def _trainable(ctx: Context, label: DataFrame, asked: list[Task]) -> list[Task]:
    counts = {
        r["task"]: min(r["n_positive"], r["n"] - r["n_positive"])
        for r in label.groupBy("task")
        .agg(F.count(F.lit(1)).alias("n"), F.count_if("boolean_value").alias("n_positive"))
        .collect()  # one row per task
    }
    enough = ctx.settings.train.folds * MIN_PER_FOLD
    for task in asked:
        if counts.get(task.name, 0) < enough:
            ctx.say(f"train: {task.name} has fewer than {enough} known outcomes of a kind; it is not trained")
    return [task for task in asked if counts.get(task.name, 0) >= enough]


def _train(
    ctx: Context, tracking: Tracking, task: Task, names: list[tuple[str, str]], tables: dict[str, DataFrame]
) -> tuple[list[Trained], list[Edge]]:
    """One task's models, fitted and kept in MLflow, and what each was made of."""
    read = {name: ctx.lake.activity.read[name] for name in READS if name in ctx.lake.activity.read}

    def of_task(name: str) -> DataFrame:
        return tables[name].where(F.col("task") == task.name).drop("task")

    cases = (
        of_task("gold.feature_matrix")
        .join(of_task("gold.label"), on=["person_id", "index_at"], how="inner")
        .join(of_task("gold.subject_split"), on="person_id", how="inner")
    )
    models = [MODELS[name] for name in task.models if ctx.only in (None, name)]
    found = trained(cases, models, n_features=len(names), seed=ctx.settings.seed, params=task.model_params)
    ctx.say(f"train: {task.name}: {', '.join(t.model.name for t in found)}")
    edges = [edge for fit in found for edge in _tracked(ctx, tracking, task.name, fit, [n for n, _ in names], read)]
    return found, edges


def _tracked(
    ctx: Context, tracking: Tracking, task: str, fit: Trained, features: list[str], read: dict[str, int]
) -> list[Edge]:
    run = ModelRun(
        task=task, model=fit.model.name, digest=fit.digest, fitted=fit.fitted, features=features, params=fit.params,
        seed=ctx.settings.seed, night_id=ctx.night.number, code_version=code_version(), tables=read,
    )  # fmt: skip
    kept = tracking.log_model(run)
    of_model = (ctx.night.number, task, fit.model.name, fit.digest, kept.run_id, kept.model_uri)
    return [(*of_model, name, number) for name, number in read.items()]


def _out_of_fold(task: str, fit: Trained, names: list[tuple[str, str]]) -> DataFrame:
    reasons = top_reasons(fit.model.kind, [about for _, about in names])
    return fit.out_of_fold.select(
        F.lit(task).alias("task"), F.lit(fit.model.name).alias("model"),
        "person_id", "index_at", "fold", "risk", reasons.alias("top_reasons"),
    )  # fmt: skip


def _write(ctx: Context, name: str, parts: list[DataFrame]) -> None:
    """Merge the parts; where the command names one model, the rows of the others stay."""
    empty = ctx.spark.createDataFrame([], promise(name).schema)
    rows = reduce(DataFrame.unionByName, parts) if parts else empty
    ctx.lake.merge(name, rows, scope=None if ctx.only is None else F.col("model") == ctx.only)
