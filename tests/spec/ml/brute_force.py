"""Itemsets, rules and sequences counted the slow and obvious way."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterable, Mapping
from statistics import median

Sets = Mapping[tuple[str, ...], int]


def itemsets(baskets: Iterable[Iterable[str]], min_support: float, max_length: int = 0) -> dict[tuple[str, ...], int]:
    """Every itemset (sorted) with its count, whose share of the baskets is at least `min_support`."""
    sets = [{item for item in basket if item is not None} for basket in baskets]
    names = sorted(set().union(*sets)) if sets else []
    found = {}
    for size in range(1, (max_length or len(names)) + 1):
        for items in itertools.combinations(names, size):
            n = sum(set(items) <= basket for basket in sets)
            if n and n / len(sets) >= min_support:
                found[items] = n
    return found


def rules(counts: Sets, n_baskets: int, most: int = 0) -> dict[tuple[tuple[str, ...], tuple[str, ...]], dict[str, float]]:
    """Every rule of the itemsets, consequents of at most `most` items (0: any), with its measures."""
    found = {}
    for items, n in counts.items():
        for size in range(1, len(items)):
            for right in itertools.combinations(items, size):
                if most and size > most:
                    continue
                left = tuple(i for i in items if i not in right)
                a, c, s = counts[left] / n_baskets, counts[right] / n_baskets, n / n_baskets
                spread = max(s * (1 - a), a * (c - s))
                found[left, right] = {
                    "freq": n, "support": s, "confidence": s / a, "lift": s / a / c, "leverage": s - a * c,
                    "conviction": (1 - c) / (1 - s / a) if n < counts[left] else None,
                    "zhang": (s - a * c) / spread if spread else 0.0,
                    "n_a": counts[left], "n_c": counts[right],
                }  # fmt: skip
    return found


def baskets_of_chance(n: int, n_items: int, share: float, seed: int, together: bool = True) -> list[list[str]]:
    """Baskets of random items; with `together` item 1 brings item 2, and both bring item 3."""
    draw = random.Random(seed)
    made = []
    for _ in range(n):
        items = {f"i{k:02}" for k in range(n_items) if draw.random() < share}
        if together and "i01" in items and draw.random() < 0.8:
            items.add("i02")
        if together and {"i01", "i02"} <= items:
            items.add("i03")
        made.append(sorted(items, key=lambda _: draw.random()))
    return made


def spans(events: Iterable[tuple[int, str]], pattern: tuple[tuple[str, ...], ...], min_gap: int, max_gap: int, window: int) -> list[tuple[int, int]]:
    """(first day, last day) of every occurrence of the pattern in (day, item) events."""
    days: dict[int, set[str]] = {}
    for day, item in events:
        days.setdefault(day, set()).add(item)
    found = []
    for chosen in itertools.combinations(sorted(days), len(pattern)):
        gaps = [b - a for a, b in itertools.pairwise(chosen)]
        fits = all(set(step) <= days[day] for step, day in zip(pattern, chosen, strict=True))
        in_time = all(g >= min_gap and (not max_gap or g <= max_gap) for g in gaps)
        if fits and in_time and (not window or chosen[-1] - chosen[0] <= window):
            found.append((chosen[0], chosen[-1]))
    return found


def median_span(found: Iterable[list[tuple[int, int]]]) -> float:
    """The median over people of the days of the occurrence that begins first and then ends first."""
    return float(median([min(one)[1] - min(one)[0] for one in found]))
