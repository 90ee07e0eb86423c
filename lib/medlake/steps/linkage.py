"""Linking any records by weights: plan the blocks, make a model, compare, settle. For the night and for CSV files."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from medlake.doors.settings import Conf, Link
from medlake.grammar.errors import MedlakeError
from medlake.link import review, scoring
from medlake.link.blocking import Budgeted, block_sizes, budgeted, oversize, pairs_by_size
from medlake.link.estimate import estimated
from medlake.link.fields import name_rows
from medlake.link.model import Model, declared
from medlake.link.registry import jumped, propagated

RULES_FIND = 0.8  # share of the matches that rules find, as far as one knows beforehand

Say = Callable[[str], None]


@dataclass(frozen=True)
class Choices:
    """What conf/base.toml [link] says of linkage by weights."""

    threshold: float
    doubt: float
    pairs_per_record: int
    seed: int

    @staticmethod
    def of(link: Link, seed: int) -> Choices:
        return Choices(link.threshold, link.doubt, link.pairs_per_record, seed)


def given_names(conf: Conf, records: DataFrame) -> DataFrame:
    """(name, root) of conf/link/nicknames.toml."""
    said = conf.toml("link", "nicknames.toml")
    told = name_rows(said.get("nicknames", {}), said.get("names", {}).get("known", []))
    return records.sparkSession.createDataFrame(told, "name string, root string")


def modelled(records: DataFrame, ruled: DataFrame, choices: Choices, *, key: str, say: Say) -> Model:
    """A new model: its plan within the budget, its weights estimated where the records allow.

    `ruled`: (<key>_l, <key>_r), the pairs that rules already say to be one person.
    """
    n, n_ruled = records.count(), ruled.count()
    prior = min(0.5, max(n_ruled, 1) / RULES_FIND / max(n * (n - 1) / 2, 2.0))
    model = declared(float(f"{prior:.6g}"))
    model = _planned(records, model, budget=choices.pairs_per_record * n, say=say)
    again = ruled.select(F.col(f"{key}_r").alias(key)).distinct()
    unlike = records.join(again, on=key, how="left_anti")
    model = estimated(records, unlike, model, key=key, seed=choices.seed, say=say)
    kind = f"estimated from {n:,} records" if model.estimated else "declared, not estimated"
    say(f"link: model {model.model_id} ({kind})")
    return model


def _planned(records: DataFrame, model: Model, *, budget: int, say: Say) -> Model:
    sizes = block_sizes(records).localCheckpoint()
    plan = budgeted([row.asDict() for row in pairs_by_size(sizes).collect()], budget=budget)  # at most 64 per rule
    for rule in plan:
        say(f"link: blocks of {rule.rule}: {rule.n_pairs:,} pairs{_left_out(rule)}")
    stopped: list[int] = []
    if any(rule.n_over and rule.max_block for rule in plan):
        stopped = [row["block"] for row in oversize(sizes, plan).collect()]  # at most MAX_STOPPED per rule
    rules = tuple(rule.rule for rule in plan if rule.max_block)
    return replace(model, rules=rules, stopped=tuple(sorted(stopped)))


def _left_out(rule: Budgeted) -> str:
    if not rule.n_over:
        return ""
    if not rule.max_block:
        return f"; left out, since its {rule.n_over:,} pairs are over the budget"
    return f"; {rule.n_over:,} pairs in blocks of more than {rule.max_block} records are over the budget and left out"


def scored(new: DataFrame, others: DataFrame, model: Model, choices: Choices, *, key: str) -> DataFrame:
    """Pairs of new records with each other and with the others that are linked, doubtful or vetoed, explained."""
    pairs = scoring.compared(new, others, model, key=key)
    kept = scoring.judged(pairs, threshold=choices.threshold, doubt=choices.doubt)
    return scoring.explained(kept, model)


def untangled(edges: DataFrame, apart: DataFrame, labels: DataFrame, *, spared: float) -> DataFrame | None:
    """(a, b): the edges that must go to keep the pairs of `apart` apart (see review.cut); None where there are none."""
    gone = review.cut(edges, apart, labels, spared=spared).localCheckpoint()
    return None if gone.isEmpty() else gone


def settled(labels: DataFrame, edges: DataFrame, *, rounds: int) -> DataFrame:
    """Labels of the linked nodes, propagated until nothing changes.

    Raises:
        MedlakeError: chains of linked records are longer than `link.rounds` allows.
    """
    mark = _mark(labels)
    for _ in range(rounds):
        labels = jumped(propagated(labels, edges)).localCheckpoint()
        before, mark = mark, _mark(labels)
        if mark == before:
            return labels
    raise MedlakeError(
        f"Linked records form chains longer than 2^{rounds}. Raise link.rounds in conf/base.toml, "
        "and look at vault.person_link for what ties strangers together."
    )


def _mark(labels: DataFrame) -> int:
    """A number that changes where any label does."""
    told = labels.agg(F.bit_xor(F.xxhash64("node", "label")).alias("mark")).first()
    return int(told["mark"] or 0) if told else 0
