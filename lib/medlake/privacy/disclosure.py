"""Disclosure control: no published table lets a reader work out a count of one to ten people.

The threshold is the cell size rule of the Centers for Medicare & Medicaid Services (no cell below 11), with
complementary suppression as in Hundepool et al., Statistical Disclosure Control (2012), chapter 4: where a
published total would give a hidden cell away, further cells are hidden too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

MINIMUM_PERSONS = 11  # people; a count below it is not published
HIDDEN = "hidden"  # the mark of a count hidden because it would give a small one away


def suppress_small_cells(
    cells: DataFrame,
    count: str,
    *,
    key: Sequence[str],
    within: Sequence[str] = (),
    minimum: int = MINIMUM_PERSONS,
) -> DataFrame:
    """Hide counts of people below `minimum`, and as many others as keep them from being worked out.

    Grain: one row per cell; `key` identifies it inside its group `within`. The sum of each group, and no
    other sum, may be published beside the cells. `count` becomes null where it is hidden, and the new column
    `<count>_mark` says why: `<11` (below the minimum), `hidden` (would give a small one away), null (shown).

    Small cells hide each other where there are enough of them. Otherwise the smallest other cells are hidden
    too, until what they hold above the minimum, with the small cells, leaves each small cell free to be
    anything from 1 to `minimum - 1`. In a group too small for that everything is hidden under the one mark
    `hidden`.
    """
    few = minimum - 1
    group = Window.partitionBy(*(F.col(name) for name in within)) if within else Window.partitionBy(F.lit(0))
    ascending = group.orderBy(F.col(count), *key)
    is_small = F.col(count) < minimum
    n_small = F.sum(is_small.cast("int")).over(group)
    small_sum = F.sum(F.when(is_small, F.col(count)).otherwise(0)).over(group)
    needs_others = (n_small > 0) & ~small_sum.between(minimum, few * (n_small - 1))
    room = F.when(is_small, F.col(count)).otherwise(F.col(count) - minimum)
    lower = ascending.rowsBetween(Window.unboundedPreceding, -1)
    room_below = F.coalesce(F.sum(room).over(lower), F.lit(0))
    is_first_other = F.row_number().over(ascending) == n_small + 1
    is_hidden = is_small | (needs_others & (is_first_other | (room_below < few)))
    n_cells = F.count(F.lit(1)).over(group)
    is_exhausted = needs_others & (n_cells > 1) & ((n_cells == n_small) | (F.sum(room).over(group) < few))
    return (
        cells.withColumns({"_hidden": is_hidden, "_exhausted": is_exhausted})
        .withColumn(
            f"{count}_mark",
            F.when(is_small & ~F.col("_exhausted"), f"<{minimum}").when(F.col("_hidden"), HIDDEN),
        )
        .withColumn(count, F.when(~F.col("_hidden"), F.col(count)))
        .drop("_hidden", "_exhausted")
    )


def hide_small_counts(
    counts: DataFrame, count: str, *, when: Column | None = None, minimum: int = MINIMUM_PERSONS
) -> DataFrame:
    """Hide counts of 1 to `minimum - 1` people that are published without any total of theirs.

    `count` becomes null there, with the mark `<11` in the new column `<count>_mark`. Only rows where `when`
    holds count people (default: all). Nobody (0) is shown: it describes no person.
    """
    is_small = (F.lit(True) if when is None else when) & F.col(count).between(1, minimum - 1)
    return counts.withColumn(f"{count}_mark", F.when(is_small, f"<{minimum}")).withColumn(
        count, F.when(F.col(f"{count}_mark").isNull(), F.col(count))
    )


def is_safe_part(part: Column, whole: Column, *, minimum: int = MINIMUM_PERSONS) -> Column:
    """True where `part` of `whole` people may be published: neither it nor the remainder is small.

    A remainder of nobody is allowed. Null counts are not safe.
    """
    rest = whole - part
    return F.coalesce((part >= minimum) & ((rest == 0) | (rest >= minimum)), F.lit(False))


def bound_rule_counts(
    rules: DataFrame, n_if: str, n_both: str, n_then: str, n_all: str, *, minimum: int = MINIMUM_PERSONS
) -> DataFrame:
    """Make the four counts of a rule (if, both, then, all people) safe to publish together.

    Grain: one row per rule. A rule is dropped where one of the people counts itself, or the number of people
    with neither side, is small. Where only few people have one side without the other, the count is replaced
    by a bound that would hold for any such small number and is itself made of published counts only.
    Confidence and lift computed from the new counts are then lower bounds, and `is_bound` is true.
    """
    few = minimum - 1
    both, one, other, everybody = (F.col(name) for name in (n_both, n_if, n_then, n_all))
    only_if_is_small = (one - both) < minimum
    only_then_is_small = (other - both) < minimum
    return (
        rules.where((both >= minimum) & ((everybody - one - other + both) >= minimum))
        .withColumns(
            {
                n_both: F.when(only_if_is_small, one - few).otherwise(both),
                n_then: F.when(
                    only_then_is_small, few + F.when(only_if_is_small, one).otherwise(both)
                ).otherwise(other),
                "is_bound": only_if_is_small | only_then_is_small,
            }
        )
        .where(F.col(n_both) >= minimum)
    )


def hide_small_shares(
    shares: DataFrame,
    share: str,
    n: Column,
    *,
    when: Column,
    coarse: Sequence[str] = (),
    minimum: int = MINIMUM_PERSONS,
) -> DataFrame:
    """Hide shares of `n` people that stand for a small number of people with, or without, something.

    `share` (0 to 1) becomes null there, and the new column `<share>_bound` says which side is small: `low`
    (few have it), `high` (few have it not), null (shown). Figures computed from the share, named in `coarse`,
    are rounded to halves there, so that the share cannot be worked out from them. Only rows where `when`
    holds are shares; others are left alone.
    """
    has = F.round(F.col(share) * n)
    bound = F.when(when & (has < minimum), "low").when(when & (n - has < minimum), "high")
    hidden = F.col(f"{share}_bound").isNotNull()
    return shares.withColumn(f"{share}_bound", bound).withColumns(
        {
            share: F.when(~hidden, F.col(share)),
            **{name: F.when(hidden, F.round(F.col(name) * 2) / 2).otherwise(F.col(name)) for name in coarse},
        }
    )


@dataclass(frozen=True)
class RateBin:
    """One bin of a calibration curve: `n` people, their mean risk and the observed share of events."""

    n: int
    mean_risk: float
    observed: float


def merge_small_bins(bins: Sequence[RateBin], *, minimum: int = MINIMUM_PERSONS) -> tuple[RateBin, ...]:
    """Merge neighbouring bins, by mean risk, until none shows few people with or few without the event.

    A bin in which nobody or everybody has the event is kept. What is left over joins the last bin; if no safe
    bin can be made, none is published.
    """
    merged: list[RateBin] = []
    open_bin: RateBin | None = None
    for each in sorted(bins, key=lambda one: one.mean_risk):
        open_bin = each if open_bin is None else _joined(open_bin, each)
        if _is_safe_bin(open_bin, minimum):
            merged.append(open_bin)
            open_bin = None
    while open_bin is not None and merged:
        open_bin = _joined(merged.pop(), open_bin)
        if _is_safe_bin(open_bin, minimum):
            merged.append(open_bin)
            open_bin = None
    return tuple(merged)


def _joined(left: RateBin, right: RateBin) -> RateBin:
    n = left.n + right.n
    return RateBin(
        n=n,
        mean_risk=(left.n * left.mean_risk + right.n * right.mean_risk) / n,
        observed=(left.n * left.observed + right.n * right.observed) / n,
    )


def _is_safe_bin(one: RateBin, minimum: int) -> bool:
    events = round(one.n * one.observed)
    return one.n >= minimum and all(count == 0 or count >= minimum for count in (events, one.n - events))
