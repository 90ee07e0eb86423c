"""Frequent itemsets of one block of baskets, in NumPy: ECLAT on bitsets.

Zaki 2000, "Scalable algorithms for association mining" (IEEE TKDE 12/3): depth first over item prefixes, the
baskets of an itemset kept as a set and intersected. Here a set of baskets is a row of 64-bit words, an
intersection is one AND over a matrix, a count is its number of one bits.

Items are integers 0 … n_items - 1, numbered from the rarest to the most frequent: the sets of a prefix are
numbered within the baskets of its rarest item, so they are short. Time: the sum over all frequent prefixes of
(extensions² · baskets of the rarest item / 64) word operations. Memory: one matrix of a prefix per depth.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int32]
Counts = npt.NDArray[np.int64]
Words = npt.NDArray[np.uint64]

WORD = 64  # baskets per word
CHUNK_WORDS = 1 << 21  # 16 MB: what one AND may make at a time
DENSE_WORDS = 1 << 26  # 512 MB: the largest matrix of a whole block
GATHER_COST = 20  # copying one item of a basket costs as much as so many word operations (measured)


@dataclass(frozen=True)
class Block:
    """Baskets in compressed rows: `codes[starts[i]:starts[i + 1]]` is basket i, ascending, without repeats."""

    starts: npt.NDArray[np.int64]
    codes: Ints
    n_items: int

    @property
    def n_baskets(self) -> int:
        return len(self.starts) - 1

    @cached_property
    def basket_of(self) -> Ints:
        """The basket of each entry of `codes`."""
        return np.repeat(np.arange(self.n_baskets, dtype=np.int32), np.diff(self.starts))

    @cached_property
    def by_item(self) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Where each item's entries start in the second array, and the positions of the entries in `codes`."""
        at = np.zeros(self.n_items + 1, dtype=np.int64)
        np.cumsum(np.bincount(self.codes, minlength=self.n_items), out=at[1:])
        narrow = self.codes.astype(np.int16) if self.n_items <= 32767 else self.codes  # int16 sorts by radix
        return at, np.argsort(narrow, kind="stable")

    def after(self, item: int) -> tuple[Ints, Ints, int]:
        """What follows `item` in its baskets: (rows 0 … n - 1, codes), and n, the number of its baskets."""
        at, order = self.by_item
        found = order[at[item] : at[item + 1]]
        first, last = found + 1, self.starts[self.basket_of[found].astype(np.int64) + 1]
        length = last - first
        rows = np.repeat(np.arange(len(found), dtype=np.int32), length)
        begin = np.repeat(first - (np.cumsum(length) - length), length)
        return rows, self.codes[begin + np.arange(len(rows))], len(found)

    def is_dense(self) -> bool:
        """Is one matrix of all items cheaper than one per item? So it is where baskets are long."""
        n_words = -(-self.n_baskets // WORD)
        used = int(np.count_nonzero(np.bincount(self.codes, minlength=self.n_items)))
        lengths = np.diff(self.starts).astype(float)
        gathered = GATHER_COST * float((lengths * lengths).sum()) / 2
        return used * n_words <= DENSE_WORDS and used * used / 2 * n_words < gathered


def bit_matrix(rows: Ints, columns: Ints, n_columns: int, n_rows: int) -> Words:
    """One line of bits per column: bit r of line c is set where (r, c) is among (rows, columns).

    rows: ascending.
    """
    n_words = -(-n_rows // WORD)
    made = np.zeros((n_columns, n_words), dtype=np.uint64)
    step = max(1, (CHUNK_WORDS * 8) // max(1, n_columns * WORD))  # words at a time: one byte per bit
    for first in range(0, n_words, step):
        last = min(n_words, first + step)
        low, high = np.searchsorted(rows, [first * WORD, last * WORD])
        bits = np.zeros((n_columns, (last - first) * WORD), dtype=np.uint8)
        bits[columns[low:high], rows[low:high] - first * WORD] = 1
        packed = np.packbits(bits, axis=1, bitorder="little")
        made[:, first:last] = packed.view(np.uint64)
    return made


def ones(sets: Words) -> Counts:
    """The number of one bits of each line."""
    found: Counts = np.bitwise_count(sets).sum(axis=1, dtype=np.int64)
    return found


@dataclass(frozen=True)
class Found:
    """Itemsets that share all but their last item: `prefix` with each of `last`, and their counts."""

    prefix: tuple[int, ...]
    last: Ints
    counts: Counts


def mined(block: Block, *, least: int, max_length: int) -> Iterator[Found]:
    """The itemsets of 2 … `max_length` items (0: any number) that at least `least` baskets of the block hold."""
    if max_length == 1 or block.n_baskets == 0:
        return
    n_of = np.bincount(block.codes, minlength=block.n_items)
    frequent = np.flatnonzero(n_of >= max(1, least)).astype(np.int32)
    if block.is_dense():
        sets = _whole(block, frequent)
        yield from _extended((), frequent, sets, least, max_length)
        return
    for item in frequent.tolist():
        rows, codes, n_rows = block.after(item)
        together = np.bincount(codes, minlength=block.n_items)
        wanted = np.flatnonzero(together >= max(1, least)).astype(np.int32)
        if not len(wanted):
            continue
        yield Found((item,), wanted, together[wanted].astype(np.int64))
        if len(wanted) > 1 and max_length != 2:
            sets = _chosen(rows, codes, wanted, n_rows, block.n_items)
            yield from _extended((item,), wanted, sets, least, max_length)


def _whole(block: Block, items: Ints) -> Words:
    """The sets of `items` over all baskets of the block."""
    return _chosen(block.basket_of, block.codes, items, block.n_baskets, block.n_items)


def _chosen(rows: Ints, codes: Ints, items: Ints, n_rows: int, n_items: int) -> Words:
    """The sets of `items` from entries (rows, codes); other items are left out."""
    place = np.full(n_items, -1, dtype=np.int32)
    place[items] = np.arange(len(items), dtype=np.int32)
    columns = place[codes]
    kept = columns >= 0
    return bit_matrix(rows[kept], columns[kept], len(items), n_rows)


def _extended(
    prefix: tuple[int, ...], items: Ints, sets: Words, least: int, max_length: int
) -> Iterator[Found]:
    """All frequent itemsets that begin with `prefix` and two of `items`; sets: of the prefix with each item."""
    deeper = max_length == 0 or len(prefix) + 2 < max_length
    for i in range(len(items) - 1):
        used = np.flatnonzero(sets[i])
        narrow = sets[:, used] if len(used) * 2 < sets.shape[1] else sets
        both, counts = _joined(narrow[i], narrow, i + 1, least)
        kept = np.flatnonzero(counts >= max(1, least))
        if not len(kept):
            continue
        longer = (*prefix, int(items[i]))
        last = items[i + 1 + kept]
        yield Found(longer, last, counts[kept])
        if deeper and len(kept) > 1:
            again = both[kept] if both is not None else narrow[i + 1 + kept] & narrow[i]
            yield from _extended(longer, last, again, least, max_length)


def _joined(one: Words, sets: Words, first: int, least: int) -> tuple[Words | None, Counts]:
    """`one` AND each line of `sets` from `first` on, with the counts; None where they would not fit a chunk."""
    others = sets[first:]
    step = max(1, CHUNK_WORDS // max(1, sets.shape[1]))
    if len(others) <= step:
        both = others & one
        return both, ones(both)
    parts = [ones(others[at : at + step] & one) for at in range(0, len(others), step)]
    return None, np.concatenate(parts)


def counted(block: Block, candidates: Sequence[npt.NDArray[np.int32]]) -> list[Counts]:
    """How many baskets of the block hold each candidate; one array of shape (n, length ≥ 2) per length.

    The items of a candidate are ascending. Candidates that share their rarest item share its baskets.
    """
    found = [np.zeros(len(some), dtype=np.int64) for some in candidates]
    if block.n_baskets == 0 or not len(candidates):
        return found
    whole = None
    if block.is_dense():
        items = np.unique(np.concatenate([some.ravel() for some in candidates])).astype(np.int32)
        whole = (items, _whole(block, items))
    for some, counts in zip(candidates, found, strict=True):
        order = np.argsort(some[:, 0], kind="stable")
        firsts, starts = np.unique(some[order, 0], return_index=True)
        for item, mine in zip(firsts.tolist(), np.split(order, starts[1:]), strict=True):
            counts[mine] = _counted_after(block, item, some[mine], whole)
    return found


def _counted_after(
    block: Block, item: int, candidates: npt.NDArray[np.int32], whole: tuple[Ints, Words] | None
) -> Counts:
    """Counts of candidates that all begin with `item`."""
    if whole is not None:
        items, sets = whole
        places = np.searchsorted(items, candidates)
    else:
        rows, codes, n_rows = block.after(item)
        if n_rows == 0:
            return np.zeros(len(candidates), dtype=np.int64)
        items = np.unique(candidates[:, 1:]).astype(np.int32)
        sets = _chosen(rows, codes, items, n_rows, block.n_items)
        places = np.searchsorted(items, candidates[:, 1:])
    step = max(1, CHUNK_WORDS // max(1, sets.shape[1]))
    parts = []
    for at in range(0, len(places), step):
        some = places[at : at + step]
        together = sets[some[:, 0]]
        for column in range(1, some.shape[1]):
            together &= sets[some[:, column]]
        parts.append(ones(together))
    return np.concatenate(parts)
