"""Cross-validation and final fits. A fit runs Spark jobs: this and linear.py are the places of the room that do.

Only a model's parameters and one count per fold reach the driver, never rows. What is read again and again is
kept by local checkpoints, not by caches: a cached frame drags its whole plan into every fit, and planning is
most of the work on small data. A lost executor fails the step, which is then tried again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import reduce

from pyspark.ml import Pipeline, PipelineModel
from pyspark.ml.functions import vector_to_array
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from medlake.models.linear import ONE_TASK_ROWS
from medlake.models.model import CLASS_WEIGHT, LABEL, Model, Params_, as_training_rows, risk
from medlake.models.preparation import PREPARED, Preparation

KEY = ("person_id", "index_at")
MANY_PARTITIONS = 64  # of more rows than one task fits: ranges of the key, a fixed number whatever the cluster
N_THREADS = 2  # fits that run side by side
Side = tuple[DataFrame, PipelineModel, dict[str, PipelineModel]]  # rows, preparation, model by name


@dataclass(frozen=True)
class Trained:
    """A model fitted to all labelled rows, and what its siblings said about the folds they had not seen.

    out_of_fold: person_id, index_at, fold, risk, and of the sibling prepared and weights, both array<double>.
    """

    model: Model
    params: Params_
    fitted: PipelineModel
    digest: str
    out_of_fold: DataFrame


def settled(rows: DataFrame, key: Sequence[str], n_rows: int) -> DataFrame:
    """The rows in an order and partitions that depend on their keys only, so that fits do too."""
    if n_rows <= ONE_TASK_ROWS:  # any cluster sums in the same order
        return rows.repartition(1).sortWithinPartitions(*key)
    return rows.repartitionByRange(MANY_PARTITIONS, *key).sortWithinPartitions(*key)


def trained(
    cases: DataFrame, models: Sequence[Model], *, n_features: int, seed: int,
    params: Mapping[str, Params_] | None = None,
) -> list[Trained]:  # fmt: skip
    """Fit every model to each fold's complement and to all rows.

    cases: person_id, index_at, features, boolean_value (never null), fold.
    """
    kept = cases.localCheckpoint()
    counts = {int(r["fold"]): int(r["count"]) for r in kept.groupBy("fold").count().collect()}
    n_rows, folds = sum(counts.values()), sorted(counts)
    rows = settled(as_training_rows(kept), KEY, n_rows).localCheckpoint()
    chosen = {m.name: m.with_params((params or {}).get(m.name, {})) for m in models}

    def fit_side(fold: int | None) -> Side:
        """Every model fitted to the rows outside `fold` (None: to all rows), on one shared preparation."""
        outside = rows if fold is None else rows.where(F.col("fold") != fold)
        first = Preparation(n_features).fit(outside)
        ready = first.transform(rows).select(*KEY, "fold", LABEL, CLASS_WEIGHT, PREPARED).localCheckpoint()
        training = ready if fold is None else ready.where(F.col("fold") != fold)
        n_outside = n_rows - (0 if fold is None else counts[fold])
        fits = {
            m.name: Pipeline(stages=m.stages(chosen[m.name], seed, n_outside)).fit(training) for m in models
        }
        return ready, first, fits

    with ThreadPoolExecutor(N_THREADS) as pool:
        sides = dict(zip([*folds, None], pool.map(fit_side, [*folds, None]), strict=True))
    _, preparation, final = sides[None]
    return [_trained(m, chosen[m.name], preparation, final[m.name], sides, folds) for m in models]


def _trained(
    model: Model, params: Params_, preparation: PipelineModel, final: PipelineModel,
    sides: Mapping[int | None, Side], folds: Sequence[int],
) -> Trained:  # fmt: skip
    fitted = PipelineModel(stages=[*preparation.stages, *final.stages])
    held_out = []
    for fold in folds:
        ready, _, fits = sides[fold]
        sibling = fits[model.name]
        held_out.append(_said(sibling.transform(ready.where(F.col("fold") == fold)), model, sibling))
    # One job per model now, or whoever reads the answers plans every fold of every model at once.
    out_of_fold = reduce(DataFrame.unionByName, held_out).localCheckpoint()
    return Trained(model, params, fitted, model.digest(fitted), out_of_fold)


def _said(answered: DataFrame, model: Model, fitted: PipelineModel) -> DataFrame:
    weights = F.array(*[F.lit(w) for w in model.weights(fitted.stages)])
    return answered.select(
        *KEY,
        "fold",
        risk().alias("risk"),
        vector_to_array(F.col(PREPARED)).alias(PREPARED),
        weights.alias("weights"),
    )


def scored(cases: DataFrame, model: Model, fitted: PipelineModel) -> DataFrame:
    """Risks of cases without a fold by the final model: as `Trained.out_of_fold`, `fold` null. Lazy."""
    unseen = cases.withColumn("fold", F.lit(None).cast("int"))
    return _said(fitted.transform(unseen), model, fitted)
