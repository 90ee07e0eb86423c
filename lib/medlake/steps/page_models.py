"""What the page says about models, read from the lake with small counts hidden."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby
from typing import Any

from pyspark.sql import DataFrame, Row
from pyspark.sql import functions as F

from medlake.features.tasks import Task as Question
from medlake.features.tasks import parse_tasks
from medlake.privacy.disclosure import RateBin, is_safe_part, merge_small_bins, suppress_small_cells
from medlake.report import tables
from medlake.report.content import Curve, Metric, Reason, Subgroup, Task
from medlake.steps.context import Context

MAX_ROWS = 20_000  # of any one gold table about models: tasks x models x points, never people


def models(ctx: Context) -> dict[str, Any]:
    """The field `tasks` of PageContent: one entry per task whose models were judged on enough people."""
    small = ctx.settings.privacy.small_count
    asked = parse_tasks(ctx.conf.texts("tasks", suffix=".toml"), ctx.conf.texts("tasks", suffix=".sql"))
    figures = _rows(
        ctx.lake.read("gold.model_evaluation").where(F.col("value").isNotNull() & (F.col("n") >= small)),
        "task", "model", "metric",
    )  # fmt: skip
    curves = _rows(ctx.lake.read("gold.evaluation_curve"), "task", "curve", "model", "position")
    bins = _rows(ctx.lake.read("gold.calibration_bin"), "task", "model", "bin")
    explanation, features = ctx.lake.read("gold.model_explanation"), ctx.lake.read("gold.feature_def")
    reasons = _rows(tables.reasons(explanation, features), "task", "model", "rank")
    levels = _rows(
        subgroups(ctx.lake.read("gold.subgroup_evaluation"), small), "task", "model", "subgroup", "level"
    )
    judged = {row["task"] for row in figures}
    return {
        "tasks": tuple(
            _task(one, figures, curves, bins, reasons, levels, small) for one in asked if one.name in judged
        )
    }


def subgroups(evaluation: DataFrame, small: int) -> DataFrame:
    """task, model, subgroup, level, n, n_mark, auroc (null: few people with, or without, the outcome)."""
    safe = is_safe_part(F.col("n_positive"), F.col("n"), minimum=small)
    judged = evaluation.withColumn("auroc", F.when(safe, F.col("auroc"))).drop("n_positive", "brier")
    return suppress_small_cells(
        judged, "n", key=["level"], within=["task", "model", "subgroup"], minimum=small
    )


def _task(
    asked: Question,
    figures: list[Row],
    curves: list[Row],
    bins: list[Row],
    reasons: list[Row],
    levels: list[Row],
    small: int,
) -> Task:
    mine = [row for row in figures if row["task"] == asked.name]
    names = {row["model"] for row in mine}

    def of(rows: list[Row]) -> list[Row]:
        return [row for row in rows if row["task"] == asked.name and row["model"] in names]

    def line(curve: str) -> tuple[Curve, ...]:
        return _curves((r["model"], (r["x"], r["y"])) for r in of(curves) if r["curve"] == curve)

    return Task(
        task=asked.name,
        title=asked.about.rstrip("."),
        question=asked.label_about.removeprefix("true:").strip().rstrip("."),
        not_for=(asked.must_not_be_used_for,),
        metrics=tuple(
            Metric(**{n: r[n] for n in ("model", "metric", "value", "lower", "upper", "n")}) for r in mine
        ),
        roc=line("roc"),
        pr=line("pr"),
        calibration=_calibration(of(bins), small),
        reasons=tuple(
            Reason(**{n: r[n] for n in ("model", "feature", "weight", "kind")}) for r in of(reasons)
        ),
        subgroups=tuple(
            Subgroup(**{n: r[n] for n in ("model", "subgroup", "level", "n", "n_mark", "auroc")})
            for r in of(levels)
        ),
    )


def _calibration(bins: list[Row], small: int) -> tuple[Curve, ...]:
    found = []
    for model, rows in groupby(bins, key=lambda row: str(row["model"])):
        safe = merge_small_bins([RateBin(r["n"], r["mean_risk"], r["observed"]) for r in rows], minimum=small)
        if safe:
            found.append(Curve(model, tuple((one.mean_risk, one.observed) for one in safe)))
    return tuple(found)


def _curves(points: Iterable[tuple[str, tuple[float, float]]]) -> tuple[Curve, ...]:
    return tuple(
        Curve(model, tuple(point for _, point in group))
        for model, group in groupby(points, key=lambda one: one[0])
    )


def _rows(table: DataFrame, *order: str) -> list[Row]:
    return table.orderBy(*order).limit(MAX_ROWS).collect()
