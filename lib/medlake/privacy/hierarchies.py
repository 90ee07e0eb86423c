"""Generalisation hierarchies: how a value becomes vaguer, step by step, as conf/anonymity.toml declares them.

Level 0 is the value as it is, the last level says nothing (`*`); each level follows from the one before, so that
classes only grow together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from pyspark.sql import Column
from pyspark.sql import functions as F

from medlake.grammar.errors import ConfigError

NOTHING = "*"
KINDS = ("bands", "prefix", "date", "map")
PARTS = {"month": "yyyy-MM", "quarter": "yyyy-'Q'q", "year": "yyyy"}


@dataclass(frozen=True)
class Hierarchy:
    """What may be done to one column; `steps` are the levels between the value and nothing."""

    column: str
    kind: str
    steps: tuple[Any, ...]

    @property
    def levels(self) -> int:
        """Number of levels, the value itself and `*` among them."""
        return len(self.steps) + 2

    def at(self, level: int) -> Column:
        """The column at a level, as text; null stays null, but at the last level."""
        value = F.col(self.column)
        if level == 0:
            return value.cast("string")
        if level == self.levels - 1:
            return F.lit(NOTHING)
        step = self.steps[level - 1]
        if self.kind == "bands":
            low = F.floor(value / F.lit(step)) * F.lit(step)
            return F.concat(low.cast("string"), F.lit("-"), (low + F.lit(step) - 1).cast("string"))
        if self.kind == "prefix":
            return F.substring(value.cast("string"), 1, step)
        if self.kind == "date":
            return F.date_format(value, PARTS[step])
        pairs = [F.lit(x) for pair in sorted(step.items()) for x in pair]
        return F.coalesce(F.element_at(F.create_map(*pairs), value.cast("string")), F.lit("other"))


def hierarchies(columns: Sequence[str], said: Mapping[str, Any]) -> list[Hierarchy]:
    """The hierarchy of each column: the first one declared whose `columns` fit its name; else value or nothing.

    Raises:
        ConfigError: a hierarchy is of no known kind, or its levels do not follow from one another.
    """
    return [_of(column, said.get("hierarchy", {})) for column in columns]


def _of(column: str, known: Mapping[str, Any]) -> Hierarchy:
    for name, one in known.items():
        if any(fnmatchcase(column, pattern) for pattern in one.get("columns", ())):
            return _checked(name, Hierarchy(column, str(one.get("kind")), tuple(one.get("steps", ()))))
    return Hierarchy(column, "map", ())


def _checked(name: str, made: Hierarchy) -> Hierarchy:
    where = f"conf/anonymity.toml, hierarchy.{name}"
    if made.kind not in KINDS:
        raise ConfigError(f"{where}: kind must be one of {', '.join(KINDS)}")
    pairs = list(zip(made.steps, made.steps[1:], strict=False))
    if made.kind == "bands" and any(b % a for a, b in pairs):
        raise ConfigError(f"{where}: each width must be a multiple of the one before")
    if made.kind == "prefix" and any(b >= a for a, b in pairs):
        raise ConfigError(f"{where}: each length must be shorter than the one before")
    order = list(PARTS)
    if made.kind == "date" and (
        set(made.steps) - set(order) or any(order.index(b) <= order.index(a) for a, b in pairs)
    ):
        raise ConfigError(f"{where}: steps are month, quarter, year, in this order")
    if made.kind == "map" and any(
        len({b.get(k, "other") for k, v in a.items() if v == w}) > 1 for a, b in pairs for w in a.values()
    ):
        raise ConfigError(f"{where}: what one map joins the next must not part")
    return made
