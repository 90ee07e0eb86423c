"""What a model goes by: weights of its features, and the reasons behind one risk."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

DECIMALS = 9
N_REASONS = 3
NOT_WORTH_SAYING = 0.005  # a smaller contribution is no reason


def model_explanation(
    definitions: DataFrame, weights: Mapping[tuple[str, str], tuple[str, Sequence[float]]]
) -> DataFrame:
    """gold.model_explanation: one weight per feature and model.

    definitions: gold.feature_def. weights: (task, model) → (kind, weight per position), final model.
    """
    literals = [
        F.struct(
            F.lit(task).alias("task"), F.lit(model).alias("model"), F.lit(kind).alias("kind"),
            F.array(*[F.lit(round(float(v), DECIMALS)) for v in values]).alias("values"),
        )
        for (task, model), (kind, values) in weights.items()
    ]  # fmt: skip
    if not literals:
        return definitions.where(F.lit(False)).select(
            "task",
            F.lit("").alias("model"),
            "position",
            "feature",
            F.lit(0.0).alias("weight"),
            F.lit("").alias("kind"),
        )
    return (
        definitions.withColumn("of", F.explode(F.array(*literals)))
        .where(F.col("task") == F.col("of.task"))
        .select(
            "task",
            "of.model",
            "position",
            "feature",
            F.get("of.values", F.col("position")).alias("weight"),
            "of.kind",
        )
    )


def contributions(kind: str) -> Column:
    """What each feature adds to a risk, array<double>; from columns `prepared` and `weights`.

    coefficient: weight times standardised value, the change of the log-odds beside the average patient.
    importance: importance times the size of the deviation, in standard deviations; it says how unusual the
    patient is where the trees look, not which way the risk went.
    """
    if kind == "coefficient":
        return F.zip_with("prepared", "weights", lambda value, weight: value * weight)
    return F.zip_with("prepared", "weights", lambda value, weight: F.abs(value) * weight)


def top_reasons(kind: str, names: Sequence[str]) -> Column:
    """The largest contributions in words, array<string>: no patient's value, only direction and size.

    names: what each feature is called, by position. Ties go to the lower position.
    """
    called = F.array(*[F.lit(name) for name in names])
    of_one = F.zip_with(
        F.transform(contributions(kind), lambda c, i: F.struct(F.round(c, 9).alias("c"), i.alias("i"))),
        F.arrays_zip(F.col("prepared").alias("value"), called.alias("name")),
        lambda a, b: F.struct(
            (-F.abs(a["c"])).alias("order"), a["i"].alias("i"), a["c"].alias("c"),
            b["value"].alias("value"), b["name"].alias("name"),
        ),
    )  # fmt: skip
    worth = F.filter(of_one, lambda r: r["order"] < -NOT_WORTH_SAYING)
    return F.transform(F.slice(F.array_sort(worth), 1, N_REASONS), lambda r: _sentence(kind, r))


def _sentence(kind: str, reason: Column) -> Column:
    level = F.when(reason["value"] > 0, "above").otherwise("below")
    if kind == "coefficient":
        moves = F.when(reason["c"] > 0, "raises").otherwise("lowers")
        return F.format_string(
            "%s: %s average, %s the risk (%+.2f log-odds)", reason["name"], level, moves, reason["c"]
        )
    return F.format_string("%s: %s average, weighs in the trees (%.2f)", reason["name"], level, reason["c"])
