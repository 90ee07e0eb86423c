"""counts: persons by group with noise (differential privacy), and the budget that each release costs."""

from __future__ import annotations

import json
import uuid

from pyspark.sql import functions as F

from medlake.doors.ledger import Counts, now
from medlake.grammar.contract import promise
from medlake.grammar.errors import QualityGateError, UsageError
from medlake.privacy.noise import persons_by, with_noise
from medlake.steps.ask import show
from medlake.steps.context import Context
from medlake.steps.risk import open_table

MAX_GROUPS = 100_000


def run(ctx: Context) -> Counts:
    """Print noisy counts of a table's persons by columns; `ctx.extra`: by, epsilon, delta, groups, form.

    Raises:
        UsageError: the table has no persons, a column is not there, or there are too many groups.
        QualityGateError: the budget does not allow it.
    """
    table, by = ctx.only or "", [c.strip() for c in (ctx.extra.get("by") or "").split(",") if c.strip()]
    open_table(table, [*by, "person_id"])
    if not by:
        raise UsageError("counts: name the columns with --by")
    epsilon, delta = float(ctx.extra.get("epsilon") or 0), float(ctx.extra.get("delta") or 0)
    _afford(ctx, epsilon, delta)
    groups = int(ctx.extra.get("groups") or 1)
    told = persons_by(ctx.lake.read(table), by, groups_per_person=groups).limit(MAX_GROUPS + 1).collect()
    if len(told) > MAX_GROUPS:
        raise UsageError(f"counts: {', '.join(by)} make more than {MAX_GROUPS:,} groups")
    made = with_noise({r["group"]: int(r["n"]) for r in told}, epsilon=epsilon, delta=delta, groups_per_person=groups)
    # the budget first: what was printed cannot be taken back
    spent = {
        "release_id": uuid.uuid4().hex, "night_id": ctx.night.number, "released_at": now(), "table": table, "by": by,
        "epsilon": epsilon, "delta": delta, "groups_per_person": groups, "n_groups": len(made.counts),
    }  # fmt: skip
    to = promise("ops.privacy_budget")
    ctx.lake.merge(to.name, ctx.spark.createDataFrame([tuple(spent[c] for c in to.columns)], to.schema), keep=True)
    rows = [(*map(_text, json.loads(group).values()), n) for group, n in made.counts.items()]
    schema = ", ".join(f"`{c}` string" for c in by) + ", n bigint"
    show(ctx.spark.createDataFrame(rows, schema), ctx.extra.get("form") or "table")
    ctx.say(
        f"counts: {len(rows):,} groups of at least {made.threshold} (with noise), "
        f"epsilon {made.epsilon:.3g}, delta {made.delta:.1g}"
    )
    return Counts()


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def _afford(ctx: Context, epsilon: float, delta: float) -> None:
    limits = ctx.conf.toml("anonymity.toml")["budget"]
    sums = (
        ctx.lake.read("ops.privacy_budget")
        .agg(F.sum("epsilon").alias("epsilon"), F.sum("delta").alias("delta"))
        .first()
    )
    spent = {name: float((sums[name] if sums else None) or 0) for name in ("epsilon", "delta")}
    for name, more in (("epsilon", epsilon), ("delta", delta)):
        if spent[name] + more > float(limits[name]) * (1 + 1e-9):
            raise QualityGateError(
                f"counts: {name} {more:g} is more than what is left: {spent[name]:g} of {limits[name]:g} are spent "
                "(ops.privacy_budget; the limit stands in conf/anonymity.toml)."
            )
