"""synthesise: made-up rows like a table's, with a report of how near they are to the real ones."""

from __future__ import annotations

import json

import numpy as np
import numpy.typing as npt
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from medlake.doors.ledger import Counts
from medlake.doors.outbox import Outbox, free_folder
from medlake.grammar.contract import promise
from medlake.grammar.errors import UsageError
from medlake.privacy.synthetic import Tree, counted, distances, fitted, labelled, made_up, nearest
from medlake.steps.context import Context
from medlake.steps.risk import open_table
from medlake.steps.sources import count_all

SAMPLE = 2_000  # rows of each kind among which the nearest are looked for
HELD_OUT = 5  # one row of so many is not fitted: how near unknown real rows are is the yardstick


def run(ctx: Context) -> Counts:
    """Fit four rows of five, make rows up, compare both with the fifth; write rows and report.json to `ctx.to`.

    Raises:
        UsageError: the table or a column is not there, it has no rows, or the folder holds something.
    """
    columns = [c.strip() for c in (ctx.extra.get("columns") or "").split(",") if c.strip()]
    open_table(ctx.only or "", columns)
    assert ctx.to is not None
    assert ctx.only is not None
    part = F.pmod(F.xxhash64(*promise(ctx.only).key), F.lit(HELD_OUT)).alias("_part")
    whole = ctx.lake.read(ctx.only).select(*columns, part).localCheckpoint()
    real, held = whole.where("_part > 0").select(*columns), whole.where("_part = 0").select(*columns)
    n = int(ctx.extra.get("rows") or 0) or count_all(whole)
    if n == 0 or count_all(real) == 0:
        raise UsageError(f"synthesise: {ctx.only} has no rows")
    tree = fitted(real, columns)
    made = made_up(tree, real, n=n, seed=ctx.settings.seed).localCheckpoint()
    report = compared(tree, real, held, made, seed=ctx.settings.seed)
    to = free_folder(ctx.to, ctx.lake.root)
    with Outbox(to) as box:
        box.write(made, "parquet", "rows-")
        box.note("report.json", json.dumps(report, indent=1) + "\n")
    ctx.say("synthesise: " + "; ".join(f"{name.replace('_', ' ')} {value:.3g}" for name, value in report.items()))
    ctx.say(f"synthesise: {n:,} made-up rows: {to}")
    return Counts()


def compared(tree: Tree, real: DataFrame, held: DataFrame, made: DataFrame, *, seed: int) -> dict[str, float]:
    """How like and how near the made-up rows are; the same of real rows that were not fitted, as a yardstick."""
    columns = [part.name for part in tree.parts]
    pairs, n_made = counted(made, tree.parts)
    by_column, by_pair = distances(tree, pairs, n_made)
    samples = {name: _sample(tree, rows, seed) for name, rows in (("real", real), ("held", held), ("made", made))}
    near = {name: nearest(samples[name], samples["real"]) for name in ("held", "made")}
    return {
        "n_fitted": float(tree.n_rows), "n_made_up": float(n_made),
        "distance_of_columns": by_column, "distance_of_pairs": by_pair,
        "share_equal_to_a_real_row": _equal(made, real, columns),
        "share_equal_of_held_out_rows": _equal(held, real, columns),
        "nearest_real_row_mean": float(near["made"].mean()),
        "nearest_real_row_mean_of_held_out_rows": float(near["held"].mean()) if len(near["held"]) else 1.0,
    }  # fmt: skip


def _equal(rows: DataFrame, real: DataFrame, columns: list[str]) -> float:
    """The share of rows that are equal to a real one in every column."""
    known = real.select(*[F.col(c).alias(f"_{c}") for c in columns]).distinct().withColumn("_is", F.lit(1))
    same = [F.col(c).eqNullSafe(F.col(f"_{c}")) for c in columns]
    told = (
        rows.join(known, on=same, how="left")
        .agg(F.coalesce(F.avg(F.coalesce("_is", F.lit(0))), F.lit(0.0)).alias("share"))
        .first()
    )
    return float(told["share"]) if told else 0.0


def _sample(tree: Tree, rows: DataFrame, seed: int) -> npt.NDArray[np.int64]:
    """At most `SAMPLE` rows as places of labels."""
    order = F.xxhash64(*[part.name for part in tree.parts], F.lit(seed))
    told = labelled(rows.orderBy(order).limit(SAMPLE), tree.parts).toArrow()
    return (
        np.stack([np.asarray(column) for column in told.columns], axis=1).astype(np.int64)
        if told.num_rows
        else np.zeros((0, len(tree.parts)), np.int64)
    )
