"""features: cohorts, labels, folds, feature matrices and baskets of every task; image features."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial, reduce

from pyspark.errors import AnalysisException, ParseException
from pyspark.sql import DataFrame

from medlake.doors.ledger import Counts
from medlake.features import baskets, splits
from medlake.features.comorbidity import indices
from medlake.features.matrix import Silver, definitions, feature_def, feature_matrix, feature_values
from medlake.features.tasks import Task, as_candidates, cohort, labels
from medlake.grammar.errors import ConfigError
from medlake.steps.codes import of_comorbidity, reference
from medlake.steps.context import Context
from medlake.steps.images import measure
from medlake.steps.tasks import tasks

VIEWS = (
    "person", "visit_occurrence", "condition_occurrence", "drug_exposure", "procedure_occurrence",
    "measurement", "observation", "death",
)  # fmt: skip


def run(ctx: Context) -> Counts:
    """Write gold.cohort, label, subject_split, feature_def, feature_matrix, basket, comorbidity and ref."""
    asked = tasks(ctx)
    silver = {name: ctx.lake.read(f"silver.{name}") for name in VIEWS}
    for name, table in silver.items():
        table.createOrReplaceTempView(name)
    candidates = reduce(DataFrame.unionByName, [_candidates(ctx, task) for task in asked])
    # Local checkpoints, not caches: a cached frame drags its whole plan into everything that is made from it.
    candidates = candidates.localCheckpoint()
    seen = cohort(candidates)
    of_silver = Silver(**{name: silver[name] for name in Silver.__dataclass_fields__})
    codes = of_comorbidity(ctx)
    values = feature_values(seen, of_silver, {task.name: task.features for task in asked}, prefixes=codes)
    values = values.localCheckpoint()
    kept = definitions(values).localCheckpoint()
    known, events = labels(candidates), (silver["condition_occurrence"], silver["drug_exposure"])
    folds = splits.subject_split(known, n_folds=ctx.settings.train.folds, seed=ctx.settings.seed)
    made = {
        "gold.cohort": seen,
        "gold.label": known,
        "gold.subject_split": folds,
        "gold.feature_def": feature_def(kept),
        "gold.feature_matrix": feature_matrix(seen, values, kept),
        "gold.basket": baskets.baskets(*events),
        "ref.item_name": baskets.item_names(*events),
        "gold.comorbidity": indices(silver["condition_occurrence"], codes),
        **reference(ctx),
    }
    work: list[Callable[[], object]] = [partial(ctx.lake.merge, name, rows) for name, rows in made.items()]
    work.append(partial(measure, ctx))
    ctx.side_by_side(work)
    return Counts()


def _candidates(ctx: Context, task: Task) -> DataFrame:
    try:
        return as_candidates(ctx.spark.sql(task.cohort_sql), task.name)
    except (AnalysisException, ParseException) as fault:
        said = str(fault).split(";")[0].splitlines()[0]
        raise ConfigError(f"conf/tasks/{task.name}.sql: {said}. It may read: {', '.join(VIEWS)}") from fault
