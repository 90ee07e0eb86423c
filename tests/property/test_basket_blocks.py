"""The two passes, played through without Spark: whatever the baskets, packs, partitions and blocks."""

from __future__ import annotations

import itertools
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medlake.ml import basket_blocks as through
from medlake.ml.occurrences import Limits, as_tree, occurring

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "spec" / "ml"))
from brute_force import itemsets, spans

NAMES = ["a", "b", "Z", "é", "ｚ", "𝒜", "10", "9"]
BASKETS = st.lists(st.one_of(st.none(), st.lists(st.one_of(st.none(), st.sampled_from(NAMES)), max_size=9)), max_size=60)


def batches(baskets: list, size: int) -> Iterator[pa.RecordBatch]:
    filled = [basket or [] for basket in baskets]
    for at in range(0, len(filled), size):
        column = pa.array(filled[at : at + size], pa.list_(pa.string()))
        yield pa.RecordBatch.from_arrays([column], names=["items"])


def rows(made: Iterable[pa.RecordBatch]) -> list[dict]:
    return [row for batch in made for row in batch.to_pylist()]


def as_batch(some: list[dict], schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    return iter(pa.Table.from_pylist(some, schema).to_batches())


PACKED = pa.schema(
    [("n_baskets", pa.int64()), ("items", pa.list_(pa.string())), ("lengths", pa.binary()), ("codes", pa.binary())]
)
BLOCKS = pa.schema([("block", pa.int32()), ("n_baskets", pa.int64()), ("lengths", pa.binary()), ("codes", pa.binary())])
COUNTED = pa.schema([("key", pa.binary()), ("freq", pa.int64())])


def played(baskets: list, least: int, n_blocks: int, n_partitions: int, longest: int = 0, max_items: int = 0) -> dict:
    """What `counting.found` does, with dictionaries for Spark's group-bys."""
    parts = [baskets[at::n_partitions] for at in range(n_partitions)]
    packed = [rows(through.pack(batches(part, 7))) for part in parts]
    freq: Counter[str] = Counter()
    for part in packed:
        for row in rows(through.item_counts(as_batch(part, PACKED))):
            freq[row["item"]] += row["freq"]
    assert sum(row["n_baskets"] for part in packed for row in part) == len(baskets)
    names = sorted((name for name, n in freq.items() if n >= least), key=lambda name: (freq[name], name))
    encode = through.encode(lambda: {name: at for at, name in enumerate(names)}, n_blocks)
    blocks = defaultdict(list)
    for part in packed:
        for row in rows(encode(as_batch(part, PACKED))):
            blocks[row["block"]].append(row)
    kept = sum(row["n_baskets"] for some in blocks.values() for row in some)
    mine = through.mine(
        n_items=len(names), least=least, n_baskets=max(kept, 1), max_length=longest, max_items=max_items, max_found=10**6
    )
    told = [row for some in blocks.values() for row in rows(mine(as_batch(some, BLOCKS)))]
    possible = sum(row["missed"] for row in told if row["key"] == b"")
    sums: dict[bytes, list[int]] = defaultdict(lambda: [0, 0, 0])
    for row in told:
        if row["key"]:
            sums[row["key"]] = [x + y for x, y in zip(sums[row["key"]], (row["n"], row["missed"], 1), strict=True)]
    whole = {key for key, (_, _, n) in sums.items() if n == len(blocks) and not max_items}
    found = Counter({key: n for key, (n, _, _) in sums.items() if key in whole})
    open_ = [k for k, (n, missed, _) in sums.items() if k not in whole and (max_items or n + possible - missed >= least)]
    wanted = through.by_size(pa.array(sorted(open_), pa.binary()))
    for some in blocks.values():
        for row in rows(through.count(lambda: wanted, len(names))(as_batch(some, BLOCKS))):
            found[row["key"]] += row["freq"]
    longer = [{"key": key, "freq": n} for key, n in found.items() if n >= least]
    decoded = rows(through.decode(lambda: names)(as_batch(longer, COUNTED)))
    singles = {(name,): freq[name] for name in names}
    return singles | {tuple(row["items"]): row["freq"] for row in decoded}


@pytest.mark.parametrize(("n_blocks", "n_partitions", "entries"), [(1, 1, 10**6), (3, 2, 10**6), (5, 3, 20)])
def test_two_passes_find_what_brute_force_finds(monkeypatch, n_blocks, n_partitions, entries):
    monkeypatch.setattr(through, "PACK_ENTRIES", entries)
    monkeypatch.setattr(through, "OUT_ROWS", 3)

    @settings(max_examples=25, deadline=None)
    @given(BASKETS, st.integers(1, 8))
    def check(baskets: list, least: int) -> None:
        want = itemsets([b or [] for b in baskets], least / max(len(baskets), 1))
        assert played(baskets, least, n_blocks, n_partitions) == {k: n for k, n in want.items() if n >= least}

    check()


@settings(max_examples=25, deadline=None)
@given(BASKETS, st.integers(1, 8), st.integers(1, 4))
def test_a_cap_never_changes_a_count(baskets: list, least: int, most: int) -> None:
    want = itemsets([b or [] for b in baskets], least / max(len(baskets), 1))
    have = played(baskets, least, 2, 2, max_items=most)
    assert have.items() <= want.items()
    assert {k for k in have if len(k) == 1} == {k for k in want if len(k) == 1}


def test_an_itemset_of_too_many_is_told_as_too_many() -> None:
    block = {"block": 0, "n_baskets": 1, "lengths": np.array([9], "<i4").tobytes(), "codes": np.arange(9, dtype="<i4").tobytes()}
    mine = through.mine(n_items=9, least=1, n_baskets=1, max_length=0, max_items=0, max_found=50)
    told = rows(mine(as_batch([block], BLOCKS)))
    assert told[-1]["key"] is None and told[-1]["n"] > 50


EVENTS = st.lists(st.tuples(st.integers(0, 12), st.sampled_from("abc")), min_size=1, max_size=9)
STEPS = [("a",), ("b",), ("c",), ("a", "b")]
PATTERNS = [p for n in (1, 2, 3) for p in itertools.product(STEPS, repeat=n)]


@settings(max_examples=80, deadline=None)
@given(EVENTS, st.integers(1, 3), st.integers(0, 5), st.integers(0, 8))
def test_occurrences_are_those_of_brute_force(events: list, min_gap: int, max_gap: int, window: int) -> None:
    days: dict[str, list[int]] = {}
    for day, item in sorted(set(events)):
        days.setdefault(item, []).append(day)
    have = dict(occurring(as_tree(PATTERNS), days, Limits(min_gap, max_gap, window)))
    want = {}
    for number, pattern in enumerate(PATTERNS):
        found = spans(events, pattern, min_gap, max_gap, window)
        if found:
            want[number] = min(found)[1] - min(found)[0]
    assert have == want
