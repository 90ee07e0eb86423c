"""evaluate: how good the risks are, for whom, and the model cards."""

from __future__ import annotations

from collections import defaultdict
from functools import partial
from typing import Any

from pyspark.sql import Row
from pyspark.sql import functions as F

from medlake.doors.ledger import Counts, code_version
from medlake.doors.tracking import Tracking
from medlake.evaluate import performance
from medlake.evaluate.card import model_card
from medlake.evaluate.plots import performance_svg
from medlake.features.tasks import Task
from medlake.models import MODELS
from medlake.steps.context import Context
from medlake.steps.registry import Registered, newest
from medlake.steps.tasks import tasks

N_TOP_FEATURES = 10
Rows = dict[tuple[str, str], list[Row]]


def run(ctx: Context) -> Counts:
    """Write gold.model_evaluation, calibration_bin, evaluation_curve, subgroup_evaluation; and cards."""
    label = ctx.lake.read("gold.label")
    rows = performance.outcomes(ctx.lake.read("gold.risk_prediction"), label).localCheckpoint()
    person = ctx.lake.read("silver.person")
    n_replicates, seed = ctx.settings.train.bootstrap, ctx.settings.seed
    made = {
        "gold.model_evaluation": performance.model_evaluation(rows, n_replicates=n_replicates, seed=seed),
        "gold.calibration_bin": performance.calibration_bin(rows),
        "gold.evaluation_curve": performance.evaluation_curve(rows),
        "gold.subgroup_evaluation": performance.subgroup_evaluation(rows, person),
    }
    ctx.side_by_side([partial(ctx.lake.merge, name, table) for name, table in made.items()])
    _to_mlflow(ctx)
    return Counts()


def _to_mlflow(ctx: Context) -> None:
    """Metrics, a picture and a card for every model's run; all of it bounded by the number of models."""
    figures, curves = _by_model(ctx, "gold.model_evaluation"), _by_model(ctx, "gold.evaluation_curve")
    bins, weights = _by_model(ctx, "gold.calibration_bin"), _by_model(ctx, "gold.model_explanation")
    about = {r["feature"]: r["about"] for r in ctx.lake.read("gold.feature_def").collect()}
    outcomes = {r["task"]: r for r in _outcome_counts(ctx)}
    asked = {task.name: task for task in tasks(ctx)}
    tracking, code = Tracking(ctx.lake.root / "mlflow"), code_version()
    for entry in newest(ctx):
        key, task = (entry.task, entry.model), asked.get(entry.task)
        if task is None or key not in figures:
            continue
        values = {r["metric"]: (r["value"], r["lower"], r["upper"]) for r in figures[key]}
        heaviest = sorted(weights[key], key=lambda r: (-abs(r["weight"]), r["position"]))[:N_TOP_FEATURES]
        top = [(about[r["feature"]], float(r["weight"])) for r in heaviest]
        texts = {
            "model_card.md": _card(ctx, task, entry, outcomes[entry.task], values, top, code),
            "performance.svg": _picture(entry, curves[key], bins[key], outcomes[entry.task]),
        }
        known = {name: float(value) for name, (value, _, _) in values.items() if value is not None}
        tracking.log_evaluation(entry.run_id, known, texts)


def _by_model(ctx: Context, name: str) -> Rows:
    """Rows of a small table (at most a few hundred per model) by task and model."""
    found: Rows = defaultdict(list)
    for row in ctx.lake.read(name).collect():
        found[row["task"], row["model"]].append(row)
    return found


def _outcome_counts(ctx: Context) -> list[Row]:
    n, positive = F.count(F.lit(1)).alias("n"), F.count_if("boolean_value").alias("n_positive")
    return ctx.lake.read("gold.label").groupBy("task").agg(n, positive).collect()  # one row per task


def _card(
    ctx: Context, task: Task, entry: Registered, outcome: Row, values: dict[str, Any],
    top: list[tuple[str, float]], code: str,
) -> str:  # fmt: skip
    model = MODELS[entry.model]
    return model_card(
        task=task.name, about=task.about, label_about=task.label_about, model=model.name,
        model_about=model.about,
        params=model.with_params(task.model_params.get(model.name, {})), horizon_days=task.horizon_days,
        n_rows=outcome["n"], n_positive=outcome["n_positive"], n_folds=ctx.settings.train.folds,
        seed=ctx.settings.seed, figures=values, top_features=top, kind=model.kind,
        must_not_be_used_for=task.must_not_be_used_for, tables=entry.tables, code_version=code,
    )  # fmt: skip


def _picture(entry: Registered, curves: list[Row], bins: list[Row], outcome: Row) -> str:
    def points(curve: str) -> list[tuple[float, float]]:
        of_curve = sorted((r for r in curves if r["curve"] == curve), key=lambda r: r["position"])
        return [(r["x"], r["y"]) for r in of_curve]

    calibration = [(r["mean_risk"], r["observed"]) for r in sorted(bins, key=lambda r: r["bin"])]
    return performance_svg(
        f"{entry.task}: {entry.model}", roc=points("roc"), pr=points("pr"), calibration=calibration,
        prevalence=outcome["n_positive"] / outcome["n"],
    )  # fmt: skip
