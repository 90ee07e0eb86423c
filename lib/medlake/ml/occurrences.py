"""Where a pattern of steps occurs in one person's dated events, under exact limits of time. Pure Python.

An occurrence of a pattern s_1 … s_k is a choice of days d_1 < … < d_k, with all items of s_i among the events
of d_i, such that min_gap ≤ d_(i+1) − d_i ≤ max_gap for every i and d_k − d_1 ≤ window (0: no such limit).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

Step = tuple[str, ...]
Pattern = tuple[Step, ...]


@dataclass(frozen=True)
class Limits:
    """Days; 0 means no limit, but for min_gap, where 1 is the least."""

    min_gap: int = 1
    max_gap: int = 0
    window: int = 0

    def allows(self, start: int, last: int, day: int) -> bool:
        """May an occurrence that began on `start` and reached `last` go on on `day`?"""
        gap = day - last
        in_gap = gap >= self.min_gap and (not self.max_gap or gap <= self.max_gap)
        return in_gap and (not self.window or day - start <= self.window)


@dataclass
class Node:
    """A pattern as a path of steps; `number` where one that is asked for ends here."""

    number: int | None = None
    steps: dict[Step, Node] = field(default_factory=dict)


def as_tree(patterns: Sequence[Pattern]) -> Node:
    """The patterns, numbered by their place, with common beginnings shared."""
    root = Node()
    for number, pattern in enumerate(patterns):
        node = root
        for step in pattern:
            node = node.steps.setdefault(step, Node())
        node.number = number
    return root


def occurring(tree: Node, days: Mapping[str, Sequence[int]], limits: Limits) -> Iterator[tuple[int, int]]:
    """(number, days from first to last step) of every pattern that occurs; of its earliest, shortest occurrence.

    days: item → its days, ascending. Of the occurrences that begin first, the one that ends first counts.
    """
    for step, node in tree.steps.items():
        begun = {(day, day) for day in _days_of(step, days)}
        if begun:
            yield from _below(node, begun, days, limits)


def _below(
    node: Node, reached: set[tuple[int, int]], days: Mapping[str, Sequence[int]], limits: Limits
) -> Iterator[tuple[int, int]]:
    if node.number is not None:
        start, last = min(reached)
        yield node.number, last - start
    for step, further in node.steps.items():
        ways = _days_of(step, days)
        longer = {(start, day) for start, last in reached for day in ways if limits.allows(start, last, day)}
        if longer:
            yield from _below(further, longer, days, limits)


def _days_of(step: Step, days: Mapping[str, Sequence[int]]) -> Sequence[int]:
    """The days that have every item of the step, ascending."""
    if len(step) == 1:
        return days.get(step[0], ())
    together = set(days.get(step[0], ()))
    for item in step[1:]:
        together &= set(days.get(item, ()))
    return sorted(together)
