"""cluster: patients grouped by K-means, with the reasons for the number of groups, their names kept."""

from __future__ import annotations

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from medlake.doors.ledger import Counts
from medlake.grammar.contract import promise
from medlake.mining.clusters import moved, named_as_before, standardised
from medlake.mining.fitting import Groups, patient_groups
from medlake.mining.profiles import codes, profile
from medlake.steps.context import Context

TASK = "patient_groups"  # whose features are grouped (conf/tasks/patient_groups)
MODEL = "patients"
MIN_PERSONS = 20  # fewer patients make no groups
N_COMPONENTS = 8  # principal components the distance is taken on
MIN_LIFT, MAX_Q = 1.2, 0.05  # from which a code is told as over-represented in a group
TABLES = (
    "gold.cluster_model", "gold.cluster_assignment", "gold.cluster_profile", "gold.cluster_code", "gold.cluster_change",
)  # fmt: skip


def run(ctx: Context) -> Counts:
    """Write gold.cluster_model, cluster_assignment, cluster_profile, cluster_code and cluster_change."""
    choices = ctx.settings.cluster
    matrix = _patients(ctx, choices.min_visits).localCheckpoint()
    definitions = ctx.lake.read("gold.feature_def").where(F.col("task") == TASK)
    n_persons = matrix.count()
    if n_persons < max(MIN_PERSONS, choices.k_min + 1):
        ctx.say(f"cluster: {n_persons} patients are too few for groups")
        for name in TABLES:
            ctx.lake.merge(name, ctx.spark.createDataFrame([], promise(name).schema))
        return Counts()
    groups = patient_groups(
        standardised(matrix), ks=range(choices.k_min, choices.k_max + 1), n_components=N_COMPONENTS,
        seed=ctx.settings.seed, n_persons=n_persons,
    )  # fmt: skip
    before = ctx.lake.read("gold.cluster_assignment").select("person_id", "cluster").localCheckpoint()
    assigned = named_as_before(groups.assignment, before).localCheckpoint()
    ctx.lake.merge("gold.cluster_model", _models(ctx, groups))
    ctx.lake.merge("gold.cluster_profile", profile(matrix, assigned, definitions))
    found = codes(
        ctx.lake.read("gold.basket"), assigned,
        min_persons=ctx.settings.privacy.small_count, min_lift=MIN_LIFT, max_q=MAX_Q,
    )  # fmt: skip
    ctx.lake.merge("gold.cluster_code", found)
    changes = moved(assigned, before).localCheckpoint()
    # A night that moves nobody keeps what was told of the last moves. Told before the groups are written: a night
    # that is killed between the two tells the same again.
    if not changes.isEmpty() or ctx.lake.version("gold.cluster_change") is None:
        ctx.lake.merge("gold.cluster_change", changes)
    ctx.lake.merge("gold.cluster_assignment", assigned)
    return Counts()


def _patients(ctx: Context, min_visits: int) -> DataFrame:
    seen = (
        ctx.lake.read("silver.visit_occurrence")
        .groupBy("person_id")
        .agg(F.count(F.lit(1)).alias("n_visits"))
        .where(F.col("n_visits") >= min_visits)
    )
    matrix = ctx.lake.read("gold.feature_matrix").where(F.col("task") == TASK)
    return matrix.join(seen, on="person_id", how="left_semi").select("person_id", "features")


def _models(ctx: Context, groups: Groups) -> DataFrame:
    rows = [
        (MODEL, g.k, g.silhouette, g.stability, g.inertia, g.n_smallest,
         g.jaccard, g.agreement, g.davies_bouldin, g.calinski_harabasz, *groups.verdicts[g.k])
        for g in groups.tried
    ]
    return ctx.spark.createDataFrame(rows, promise("gold.cluster_model").schema)
