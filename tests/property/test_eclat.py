"""Whatever the baskets: what the kernel finds and counts is what counting by hand finds."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medlake.ml import eclat
from medlake.ml.basket_blocks import with_rarest
from medlake.ml.eclat import Block, counted, mined

BASKETS = st.lists(st.frozensets(st.integers(0, 7)), max_size=150)


def block_of(baskets: list[frozenset[int]]) -> Block:
    rows = [sorted(basket) for basket in baskets]
    starts = np.concatenate([[0], np.cumsum([len(row) for row in rows])]).astype(np.int64)
    return Block(starts, np.array([code for row in rows for code in row], dtype=np.int32), 8)


def by_hand(baskets: list[frozenset[int]], least: int, longest: int) -> dict[tuple[int, ...], int]:
    counts = {}
    for size in range(2, (longest or 8) + 1):
        for items in itertools.combinations(range(8), size):
            n = sum(set(items) <= basket for basket in baskets)
            if n >= least:
                counts[items] = n
    return counts


def by_kernel(block: Block, least: int, longest: int) -> dict[tuple[int, ...], int]:
    told = [
        ((*found.prefix, last), n)
        for found in mined(block, least=least, max_length=longest)
        for last, n in zip(found.last.tolist(), found.counts.tolist(), strict=True)
    ]
    assert len(told) == len(dict(told)), "an itemset was told twice"
    return dict(told)


@pytest.fixture(params=["sparse", "dense", "narrow"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """One matrix per item, or one for all; or hardly any room, so that everything goes in pieces."""
    monkeypatch.setattr(eclat, "GATHER_COST", 1e9 if request.param == "dense" else 0)
    if request.param == "narrow":
        monkeypatch.setattr(eclat, "CHUNK_WORDS", 2)
    return request.param


@pytest.mark.parametrize("longest", [0, 1, 2, 3])
def test_the_kernel_mines_what_counting_by_hand_finds(way: str, longest: int) -> None:
    @settings(max_examples=25, deadline=None)
    @given(BASKETS, st.integers(1, 12))
    def check(baskets: list[frozenset[int]], least: int) -> None:
        assert by_kernel(block_of(baskets), least, longest) == by_hand(baskets, least, longest)

    check()


def test_the_kernel_counts_any_candidates(way: str) -> None:
    candidates = [np.array(list(itertools.combinations(range(8), size)), dtype=np.int32) for size in (2, 3, 5)]

    @settings(max_examples=25, deadline=None)
    @given(BASKETS)
    def check(baskets: list[frozenset[int]]) -> None:
        for some, counts in zip(candidates, counted(block_of(baskets), candidates), strict=True):
            assert counts.tolist() == [sum(set(c) <= basket for basket in baskets) for c in some.tolist()]

    check()


@given(BASKETS, st.integers(1, 9))
def test_a_capped_block_keeps_the_rarest_items_of_each_basket(baskets: list[frozenset[int]], most: int) -> None:
    cut = with_rarest(block_of(baskets), most)
    have = [cut.codes[a:b].tolist() for a, b in itertools.pairwise(cut.starts.tolist())]
    assert have == [sorted(basket)[:most] for basket in baskets]


def test_bits_stand_where_the_rows_are_even_across_words() -> None:
    rows = np.array([0, 63, 64, 129], dtype=np.int32)
    sets = eclat.bit_matrix(rows, np.zeros(4, dtype=np.int32), 1, 130)
    assert sets.tolist() == [[1 | 1 << 63, 1, 2]]
    assert eclat.ones(sets).tolist() == [4]
