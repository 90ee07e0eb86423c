"""risk: how anonymous a table of the open zone is, and the least that must be given up to reach a target."""

from __future__ import annotations

import json
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from medlake.doors.ledger import Counts, now
from medlake.doors.outbox import Outbox, free_folder
from medlake.grammar.contract import LAYERS, all_promises, promise
from medlake.grammar.errors import QualityGateError, UsageError
from medlake.privacy.anonymity import combinations, risk
from medlake.privacy.generalise import Choice, Node, cheapest, generalised, judged, told_levels, with_levels
from medlake.privacy.hierarchies import Hierarchy, hierarchies
from medlake.steps.context import Context

OPEN = tuple(layer for layer in LAYERS if layer in ("silver", "gold"))


@dataclass(frozen=True)
class Asked:
    """What `medlake risk` was asked."""

    table: str
    quasi: list[str]
    sensitive: list[str]
    also: list[str]
    k: int | None
    l: int  # noqa: E741
    max_suppressed: float


def run(ctx: Context) -> Counts:
    """Measure a table; with a target, generalise it, measure again and, with `ctx.to`, write it.

    Raises:
        UsageError: the table or a column is not there.
        QualityGateError: the target cannot be reached within the share of rows that may be left out.
    """
    asked = _asked(ctx)
    release = ctx.lake.read(asked.table).select(*dict.fromkeys([*asked.quasi, *asked.sensitive, *asked.also]))
    told = combinations(release, [*asked.quasi, *asked.sensitive]).localCheckpoint()
    before = _measured(risk(told, asked.quasi, asked.sensitive))
    _say(ctx, asked, "as it is", before)
    rows = [_row(ctx, asked, before)]
    if asked.k is not None:
        columns = hierarchies(asked.quasi, ctx.conf.toml("anonymity.toml"))
        choice = _chosen(ctx, asked, told, columns, before["n_rows"])
        made = generalised(release, columns, choice.node, k=asked.k, varied=asked.l, sensitive=asked.sensitive)
        after = _measured(risk(combinations(made, [*asked.quasi, *asked.sensitive]), asked.quasi, asked.sensitive))
        levels = told_levels(columns, choice.node)
        _say(ctx, asked, "for release", after)
        share = choice.n_suppressed / max(before["n_rows"], 1)
        ctx.say("risk: " + "; ".join(f"{name}: {said}" for name, said in levels.items()))
        ctx.say(f"risk: {choice.n_suppressed:,} rows left out ({share:.1%}), loss {choice.loss:.3f}")
        rows.append(_row(ctx, asked, after, choice, levels))
        if ctx.to is not None:
            _write(ctx, made)
    ctx.lake.merge(
        "ops.k_anonymity_result", ctx.spark.createDataFrame(rows, promise("ops.k_anonymity_result").schema), keep=True
    )
    return Counts()


def _asked(ctx: Context) -> Asked:
    said = ctx.extra

    def columns(name: str) -> list[str]:
        return [c.strip() for c in (said.get(name) or "").split(",") if c.strip()]

    table = ctx.only or ""
    asked = Asked(
        table, columns("quasi"), columns("sensitive"), columns("also"),
        int(said["k"] or 0) if said.get("k") else None, int(said.get("l") or 1),
        float(said.get("max_suppressed") or ctx.conf.toml("anonymity.toml")["max_suppressed"]),
    )  # fmt: skip
    open_table(table, [*asked.quasi, *asked.sensitive, *asked.also])
    if not asked.quasi or set(asked.quasi) & set(asked.sensitive):
        raise UsageError(
            "risk: name the quasi-identifiers with --quasi; a column is either quasi-identifier or sensitive"
        )
    return asked


def open_table(name: str, columns: Sequence[str]) -> None:
    """Check that a table of silver or gold has these columns.

    Raises:
        UsageError: it is none, or has not.
    """
    if name.partition(".")[0] not in OPEN or name not in all_promises():
        raise UsageError(f"{name or 'no table'}: name a table of {' or '.join(OPEN)}. `medlake tables` lists them all.")
    missing = [c for c in columns if c not in promise(name).columns]
    if missing:
        raise UsageError(f"{name} has no column {', '.join(missing)}. `medlake describe {name}` lists them.")


def _measured(told: DataFrame) -> dict[str, Any]:
    row = told.first()
    assert row is not None
    return row.asDict()


def _chosen(ctx: Context, asked: Asked, told: DataFrame, columns: Sequence[Hierarchy], n_rows: int) -> Choice:
    levels = with_levels(told, columns).localCheckpoint()

    def judge(nodes: Sequence[Node]) -> dict[int, int]:
        small = judged(levels, nodes, k=asked.k or 1, varied=asked.l, sensitive=asked.sensitive)
        return {int(r["node"]): int(r["n_small"]) for r in small.limit(len(nodes)).collect()}

    limit = int(ctx.conf.toml("anonymity.toml")["max_nodes"])
    found = cheapest(columns, n_rows, judge, max_suppressed=asked.max_suppressed, limit=limit)
    if found is None:
        raise QualityGateError(
            f"risk: {asked.table} cannot reach k = {asked.k} and l = {asked.l} with at most "
            f"{asked.max_suppressed:.1%} of its "
            f"{n_rows:,} rows left out. Name fewer quasi-identifiers, or a greater --max-suppressed."
        )
    return found


def _row(
    ctx: Context, asked: Asked, seen: dict[str, Any], choice: Choice | None = None, levels: dict[str, str] | None = None
) -> tuple[object, ...]:
    said = {
        "result_id": uuid.uuid4().hex, "night_id": ctx.night.number, "measured_at": now(), "table": asked.table,
        "quasi_identifiers": asked.quasi, "sensitive": asked.sensitive, "target_k": asked.k if choice else None,
        "levels": json.dumps(levels) if levels else None, "n_suppressed": choice.n_suppressed if choice else 0,
        "loss": choice.loss if choice else 0.0, **seen,
    }  # fmt: skip
    return tuple(said[name] for name in promise("ops.k_anonymity_result").columns)


def _say(ctx: Context, asked: Asked, what: str, seen: dict[str, Any]) -> None:
    more = f", l = {seen['l']}, t = {seen['t']:.3f}" if asked.sensitive and seen["t"] is not None else ""
    ctx.say(
        f"risk: {asked.table} {what}: k = {seen['k']}{more}; {seen['n_rows']:,} rows in {seen['n_classes']:,} classes, "
        f"{seen['n_unique']:,} rows are unique"
    )


def _write(ctx: Context, made: DataFrame) -> None:
    """A release as Parquet files, in an order that tells nothing."""
    assert ctx.to is not None
    to = free_folder(ctx.to, ctx.lake.root)
    with Outbox(to) as box:
        box.write(made.orderBy(F.rand(ctx.settings.seed)), "parquet", "")
    ctx.say(f"risk: written to {to}")
