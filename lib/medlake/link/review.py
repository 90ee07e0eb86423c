"""What a reviewer decided, which wins over rules and weights: accepted pairs are one person, rejected ones never are.

Others may connect the two of a rejected pair. Then the weakest pairs of that chain give way: the pairs of the group
are joined again from the strongest to the weakest, and one that would bring rejected records together is left out.
The same goes for a pair that a veto keeps apart, such as twins whom a record without given name would join; but what
rules say, or a reviewer, no veto undoes.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TypeVar

import pandas as pd
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

ENDS = ("left_source", "left_key", "right_source", "right_key")
ACCEPT, REJECT = "accept", "reject"
REVIEWER, WEIGHT = "reviewer", "weight"  # what vault.person_link says as `rule` beside the rules' names
ACCEPTED, RULED = 1e9, 1e6  # bits: stronger than any rule, stronger than any weight

Node = TypeVar("Node", int, str)


def newest(review: DataFrame) -> DataFrame:
    """The decision that counts for each pair."""
    return review.groupBy(*ENDS).agg(F.max_by("decision", "decided_at").alias("decision"))


def with_decisions(pairs: DataFrame, decisions: DataFrame) -> DataFrame:
    """Linked pairs (ends, rule) without the rejected ones, and with the accepted ones."""
    accepted = decisions.where(F.col("decision") == ACCEPT).select(*ENDS, F.lit(REVIEWER).alias("rule"))
    left = pairs.select(*ENDS, "rule").join(decisions, on=list(ENDS), how="left_anti")
    return left.unionByName(accepted)


def strength(rule: str = "rule", weight: str = "match_weight") -> Column:
    """How strong a pair is, in bits: a reviewer's, a rule's, its weight."""
    named = F.col(rule)
    return (
        F.when(named == REVIEWER, F.lit(ACCEPTED))
        .when(named != WEIGHT, F.lit(RULED))
        .otherwise(F.coalesce(F.col(weight), F.lit(0.0)))
    )


def cut(edges: DataFrame, rejects: DataFrame, labels: DataFrame, *, spared: float = math.inf) -> DataFrame:
    """(a, b): edges that must go so that no group holds a rejected pair; none as strong as `spared` goes.

    `edges`: a < b, strength. `rejects`: a < b. `labels`: node, group of the groups that all edges make. Only groups
    with a rejected pair are looked at, each as a whole: they are of one person's size, or two.
    """
    left = labels.select(F.col("node").alias("a"), F.col("group"))
    right = labels.select(F.col("node").alias("b"), F.col("group").alias("other"))
    held = rejects.join(left, on="a", how="inner").join(right, on="b", how="inner").where("group = other")
    torn = held.select("group", "a", "b", F.lit(None).cast("double").alias("strength"))
    inside = edges.join(left, on="a", how="inner").select("group", "a", "b", "strength")
    both = inside.join(torn.select("group").distinct(), on="group", how="left_semi").unionByName(torn)
    kind = edges.schema["a"].dataType.simpleString()

    def weakest(group: pd.DataFrame) -> pd.DataFrame:
        return _weakest(group, spared)

    return both.groupBy("group").applyInPandas(weakest, f"a {kind}, b {kind}")


def _weakest(group: pd.DataFrame, spared: float) -> pd.DataFrame:
    is_reject = group["strength"].isna()
    rejects = group.loc[is_reject, ["a", "b"]].itertuples(index=False, name=None)
    edges = group.loc[~is_reject, ["a", "b", "strength"]].itertuples(index=False, name=None)
    return pd.DataFrame(cut_edges(edges, rejects, spared=spared), columns=["a", "b"]).astype(group.dtypes[["a", "b"]])


def cut_edges(
    edges: Iterable[tuple[Node, Node, float]], rejects: Iterable[tuple[Node, Node]], *, spared: float = math.inf
) -> list[tuple[Node, Node]]:
    """The edges to leave out, weakest first to go; ties are broken by the ends.

    Each group knows whom it must not meet; an edge between two groups that must not meet is cut, unless it is as
    strong as `spared`.
    """
    group: dict[Node, Node] = {}
    members: dict[Node, set[Node]] = {}
    foes: dict[Node, set[Node]] = {}
    for a, b in rejects:
        foes.setdefault(a, set()).add(b)
        foes.setdefault(b, set()).add(a)
    gone = []
    for a, b, strong in sorted(edges, key=lambda e: (-e[2], e[0], e[1])):
        for node in (a, b):
            group.setdefault(node, node)
            members.setdefault(node, {node})
        one, two = group[a], group[b]
        if one == two:
            continue
        if strong < spared and any(foes.get(node, set()) & members[two] for node in members[one]):
            gone.append((a, b))
            continue
        for node in members[two]:
            group[node] = one
        members[one] |= members.pop(two)
    return gone
