"""The least generalisation and suppression by which a release reaches k (and l): a search over combinations of levels.

Every level of every column is told once of the distinct combinations; a batch of nodes (one level per column) is then
judged by one aggregation. Branch and bound: a node's loss is at least that of its levels, so nodes that are vaguer than
the best node found cost nothing. The optimum is exact.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from medlake.grammar.errors import ConfigError
from medlake.privacy.anonymity import N, too_small
from medlake.privacy.hierarchies import NOTHING, Hierarchy

BATCH = 48  # nodes judged by one aggregation
LEVEL = "_level_{}_{}"
Node = tuple[int, ...]


@dataclass(frozen=True)
class Choice:
    """A node and what it costs: rows left out, and the share of what was told that is told no longer (0 to 1)."""

    node: Node
    n_suppressed: int
    loss: float


def vagueness(node: Node, columns: Sequence[Hierarchy]) -> float:
    """The mean over the columns of the level reached, as a share of all levels."""
    return sum(level / (h.levels - 1) for level, h in zip(node, columns, strict=True)) / len(columns)


def nodes(columns: Sequence[Hierarchy], *, limit: int) -> list[Node]:
    """All combinations of levels, the least vague first.

    Raises:
        ConfigError: there are more than `limit`.
    """
    n = 1
    for one in columns:
        n *= one.levels
    if n > limit:
        raise ConfigError(
            f"{len(columns)} columns have {n:,} combinations of levels, more than {limit:,}: "
            "name fewer columns, or fewer steps"
        )
    every = product(*[range(one.levels) for one in columns])
    return sorted(every, key=lambda node: (vagueness(node, columns), node))


def with_levels(told: DataFrame, columns: Sequence[Hierarchy]) -> DataFrame:
    """Combinations with every level of every quasi-identifier beside."""
    levels = {LEVEL.format(i, j): one.at(j) for i, one in enumerate(columns) for j in range(one.levels)}
    return told.withColumns(levels)


def judged(
    levels: DataFrame, some: Sequence[Node], *, k: int, varied: int = 1, sensitive: Sequence[str] = ()
) -> DataFrame:
    """(node, n_small): of each node the rows in classes that are too small."""

    def one(number: int, node: Node) -> Column:
        values = [F.coalesce(F.col(LEVEL.format(i, j)), F.lit("\0")) for i, j in enumerate(node)]
        return F.struct(F.lit(number).alias("node"), F.to_json(F.array(*values)).alias("class"))

    every = levels.select(N, *sensitive, F.explode(F.array(*[one(i, node) for i, node in enumerate(some)])).alias("at"))
    flat = every.select(N, *sensitive, F.col("at.node").alias("node"), F.col("at.class").alias("class"))
    small = too_small(flat, ["node", "class"], k=k, varied=varied, sensitive=sensitive)
    return small.groupBy("node").agg(F.sum("n").alias("n_small"))


def cheapest(
    columns: Sequence[Hierarchy], n_rows: int, judge: Callable[[Sequence[Node]], dict[int, int]],
    *, max_suppressed: float, limit: int,
) -> Choice | None:  # fmt: skip
    """The node of least loss that leaves out at most that share of rows. `judge`: place of a node → rows too small."""
    best: Choice | None = None
    for batch in _batches(nodes(columns, limit=limit)):
        open_nodes = [node for node in batch if best is None or vagueness(node, columns) < best.loss]
        if not open_nodes:
            break
        small = judge(open_nodes)
        for place, node in enumerate(open_nodes):
            n = small.get(place, 0)
            if n > max_suppressed * n_rows:
                continue
            share = n / n_rows if n_rows else 0.0
            found = Choice(node, n, vagueness(node, columns) * (1 - share) + share)
            best = found if best is None or found.loss < best.loss else best
    return best


def _batches(every: Sequence[Node]) -> Iterator[Sequence[Node]]:
    for start in range(0, len(every), BATCH):
        yield every[start : start + BATCH]


def generalised(
    release: DataFrame,
    columns: Sequence[Hierarchy],
    node: Node,
    *,
    k: int,
    varied: int = 1,
    sensitive: Sequence[str] = (),
) -> DataFrame:
    """The release at the levels of a node, without the rows of classes that are too small.

    A quasi-identifier at level 0 keeps its type, at a higher one it is a text; one that says nothing is `*`.
    """
    names = [one.column for one in columns]
    whole = release.withColumns(
        {one.column: one.at(level) if level else F.col(one.column) for one, level in zip(columns, node, strict=True)}
    )
    told = whole.groupBy(*names, *sensitive).agg(F.count(F.lit(1)).alias(N))
    small = too_small(told, names, k=k, varied=varied, sensitive=sensitive).select(
        *[F.col(c).alias(f"_{c}") for c in names]
    )
    same = [whole[c].eqNullSafe(small[f"_{c}"]) for c in names]
    return whole.join(small, on=same, how="left_anti")


def told_levels(columns: Sequence[Hierarchy], node: Node) -> dict[str, str]:
    """What became of each column, in words."""

    def said(one: Hierarchy, level: int) -> str:
        if level == 0:
            return "as it is"
        return (
            NOTHING
            if level == one.levels - 1
            else f"{one.kind} {one.steps[level - 1]}"
            if one.kind != "map"
            else f"map {level}"
        )

    return {one.column: said(one, level) for one, level in zip(columns, node, strict=True)}
