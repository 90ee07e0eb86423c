"""No published table lets a reader work out a small number of people."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st
from pyspark.sql import Row, SparkSession
from pyspark.sql import functions as F
from report_tables import expected, rows, shown

from medlake.privacy.disclosure import (
    RateBin,
    bound_rule_counts,
    hide_small_counts,
    hide_small_shares,
    is_safe_part,
    merge_small_bins,
    suppress_small_cells,
)

CELLS = "site string, sex string, n bigint"


def test_a_small_cell_takes_the_smallest_other_one_with_it(spark: SparkSession) -> None:
    cells = rows(
        spark,
        CELLS,
        """
        site  | sex     | n
        north | women   | 40
        north | men     | 35
        north | unknown | 3
        south | women   | 21
        south | men     | 20
        """,
    )
    hidden = suppress_small_cells(cells, "n", key=["sex"], within=["site"])
    assert shown(hidden, "site", "sex", "n", "n_mark") == expected("""
        site  | sex     | n    | n_mark
        north | women   | 40   | null
        north | men     | null | hidden
        north | unknown | null | <11
        south | women   | 21   | null
        south | men     | 20   | null
    """)


def test_small_cells_that_hide_each_other_need_no_other(spark: SparkSession) -> None:
    cells = rows(
        spark,
        CELLS,
        """
        site  | sex | n
        north | a   | 4
        north | b   | 5
        north | c   | 6
        north | d   | 50
        """,
    )
    hidden = suppress_small_cells(cells, "n", key=["sex"], within=["site"])
    assert shown(hidden, "sex", "n", "n_mark") == expected("""
        sex | n    | n_mark
        a   | null | <11
        b   | null | <11
        c   | null | <11
        d   | 50   | null
    """)


def test_a_barely_large_cell_is_no_cover_alone(spark: SparkSession) -> None:
    """One person and eleven add up to twelve: only 1 + 11 fits, so a third cell must go too."""
    cells = rows(
        spark,
        CELLS,
        """
        site  | sex | n
        north | a   | 1
        north | b   | 11
        north | c   | 30
        north | d   | 50
        """,
    )
    hidden = suppress_small_cells(cells, "n", key=["sex"], within=["site"])
    assert shown(hidden, "sex", "n", "n_mark") == expected("""
        sex | n    | n_mark
        a   | null | <11
        b   | null | hidden
        c   | null | hidden
        d   | 50   | null
    """)


def test_a_group_too_small_to_cover_hides_which_cell_is_small(spark: SparkSession) -> None:
    cells = rows(spark, CELLS, "site | sex | n\n north | a | 10\n north | b | 10\n")
    hidden = suppress_small_cells(cells, "n", key=["sex"], within=["site"])
    assert shown(hidden, "sex", "n", "n_mark") == [("a", "null", "hidden"), ("b", "null", "hidden")]


def _possible(cells: list[Row], total: int) -> list[int]:
    """How many values each cell marked <11 can still have for somebody who knows the rule and the total."""
    left = total - sum(one["n"] or 0 for one in cells)
    small = [one for one in cells if one["n_mark"] == "<11"]
    covers = sum(one["n_mark"] == "hidden" for one in cells)
    others = len(small) - 1
    high = min(10, left - 11 * covers - others)
    low = 1 if covers else max(1, left - 10 * others)
    return [high - low + 1 for _ in small]


def test_nobody_can_work_out_a_small_cell_from_the_total(spark: SparkSession) -> None:
    draw = random.Random(3)
    groups = [
        [draw.choice((1, 3, 9, 10, 11, 12, 15, 40)) for _ in range(draw.randint(2, 7))] for _ in range(400)
    ]
    cells = spark.createDataFrame(
        [(g, k, n) for g, group in enumerate(groups) for k, n in enumerate(group)], "g int, k int, n bigint"
    )
    rows_of: dict[int, list[Row]] = {}
    for row in suppress_small_cells(cells, "n", key=["k"], within=["g"]).collect():
        rows_of.setdefault(row["g"], []).append(row)
    assert all(row["n"] is None or row["n"] >= 11 for group in rows_of.values() for row in group)
    left = [n for g, group in rows_of.items() for n in _possible(group, sum(groups[g]))]
    assert len(left) > 300
    assert min(left) >= 5


def test_counts_without_a_total_hide_one_to_ten_people(spark: SparkSession) -> None:
    counts = rows(spark, "kind string, n bigint", "kind | n\n CT | 14\n MR | 10\n US | 0\n")
    assert shown(hide_small_counts(counts, "n"), "kind", "n", "n_mark") == expected("""
        kind | n    | n_mark
        CT   | 14   | null
        MR   | null | <11
        US   | 0    | null
    """)


def test_a_part_is_safe_with_its_remainder(spark: SparkSession) -> None:
    parts = rows(
        spark, "n bigint, n_all bigint", "n | n_all\n 10 | 90\n 11 | 90\n 85 | 90\n 90 | 90\n null | 90\n"
    )
    safe = parts.withColumn("safe", is_safe_part(F.col("n"), F.col("n_all")))
    assert shown(safe, "n", "safe") == expected("""
        n    | safe
        10   | False
        11   | True
        85   | False
        90   | True
        null | False
    """)


def test_a_rule_with_few_exceptions_becomes_a_lower_bound(spark: SparkSession) -> None:
    rules = rows(
        spark,
        "rule string, n_if bigint, n_both bigint, n_then bigint, n_all bigint",
        """
        rule          | n_if | n_both | n_then | n_all
        plain         | 60   | 40     | 60     | 200
        few with if   | 40   | 36     | 60     | 200
        few with then | 60   | 40     | 44     | 200
        few with both | 40   | 36     | 38     | 200
        both small    | 20   | 10     | 60     | 200
        bound small   | 15   | 14     | 60     | 200
        nearly all    | 190  | 185    | 190    | 200
        """,
    )
    safe = bound_rule_counts(rules, "n_if", "n_both", "n_then", "n_all")
    assert shown(safe, "rule", "n_if", "n_both", "n_then", "is_bound") == expected("""
        rule          | n_if | n_both | n_then | is_bound
        plain         | 60   | 40     | 60     | False
        few with if   | 40   | 30     | 60     | True
        few with then | 60   | 40     | 50     | True
        few with both | 40   | 30     | 50     | True
    """)


def test_a_share_of_few_people_is_hidden_and_its_effect_made_coarse(spark: SparkSession) -> None:
    shares = rows(
        spark,
        "feature string, mean double, effect double, is_share boolean",
        """
        feature | mean | effect | is_share
        common  | 0.5  | 0.43   | true
        rare    | 0.1  | -0.87  | true
        usual   | 0.96 | 1.13   | true
        age     | 0.1  | 0.87   | false
        """,
    )
    safe = hide_small_shares(shares, "mean", F.lit(40), when=F.col("is_share"), coarse=["effect"])
    assert shown(safe, "feature", "mean", "mean_bound", "effect") == expected("""
        feature | mean | mean_bound | effect
        common  | 0.5  | null       | 0.43
        rare    | null | low        | -1
        usual   | null | high       | 1
        age     | 0.1  | null       | 0.87
    """)


def test_neighbouring_bins_merge_until_no_outcome_is_rare() -> None:
    bins = [RateBin(20, 0.1, 0.0), RateBin(20, 0.2, 0.1), RateBin(20, 0.3, 0.5), RateBin(20, 0.9, 0.9)]
    merged = merge_small_bins(bins)
    assert [one.n for one in merged] == [20, 60]
    assert merged[1].observed == (2 + 10 + 18) / 60


bins = st.lists(
    st.builds(
        lambda n, share, risk: RateBin(n, risk, round(n * share) / n),
        st.integers(1, 60),
        st.floats(0, 1),
        st.floats(0, 1),
    ),
    max_size=10,
)


@given(bins)
def test_merged_bins_keep_all_people_or_say_nothing(bins: list[RateBin]) -> None:
    merged = merge_small_bins(bins)
    assert not merged or sum(one.n for one in merged) == sum(one.n for one in bins)
    for one in merged:
        events = round(one.n * one.observed)
        assert one.n >= 11
        assert all(count == 0 or count >= 11 for count in (events, one.n - events))
