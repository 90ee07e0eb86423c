"""Baskets on their way through Arrow: packed, encoded into blocks, mined, counted, and back into words.

Each function here maps an iterator of Arrow batches to another (`mapInArrow`) around the NumPy of `eclat`.
Formats: `codes` are little-endian int32, `lengths` the int32 number of codes of each basket; the key of an
itemset is its codes, ascending, as bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from medlake.ml.eclat import Block, Counts, counted, mined

PACKED = "n_baskets bigint, items array<string>, lengths binary, codes binary"
BLOCKS = "block int, n_baskets bigint, lengths binary, codes binary"
ITEMS = "item string, freq bigint"
KEYS = "key binary, n bigint, missed bigint"
COUNTED = "key binary, freq bigint"
ITEMSETS = "items array<string>, freq bigint"

PACK_ENTRIES = 1 << 22  # items of baskets that one packed row holds: 16 MB
OUT_ROWS = 1 << 16  # rows per Arrow batch that leaves
CODE = np.dtype("<i4")
SEED = 7  # of the numbers that spread baskets over blocks

Batches = Iterator[pa.RecordBatch]
ArrowMap = Callable[[Batches], Batches]
Entries = npt.NDArray[np.int64]  # basket << 32 | code


def pack(batches: Batches) -> Batches:
    """Baskets array<string> → PACKED: items as numbers, a dictionary per row. Repeats and nulls are left out."""
    names: dict[str, int] = {}
    parts: list[Entries] = []
    n_baskets = n_entries = 0
    for batch in batches:
        entries = _entries(batch.column(0), n_baskets, names)
        parts.append(entries)
        n_baskets += batch.num_rows
        n_entries += len(entries)
        if n_entries >= PACK_ENTRIES:
            yield _packed(parts, n_baskets, names)
            names, parts, n_baskets, n_entries = {}, [], 0, 0
    if n_baskets:
        yield _packed(parts, n_baskets, names)


def _entries(baskets: pa.Array, first: int, names: dict[str, int]) -> Entries:
    """The items of the baskets as `basket << 32 | number`, baskets numbered from `first`."""
    items, parents = pc.list_flatten(baskets), pc.list_parent_indices(baskets)
    if items.null_count:
        known = items.is_valid()
        items, parents = items.filter(known), parents.filter(known)
    encoded = items.dictionary_encode()
    number = [names.setdefault(name, len(names)) for name in encoded.dictionary.to_pylist()]
    codes = np.array(number, dtype=np.int64)[encoded.indices.to_numpy(zero_copy_only=False)]
    basket = parents.to_numpy(zero_copy_only=False).astype(np.int64) + first
    entries: Entries = (basket << 32) | codes
    return entries


def _packed(parts: Sequence[Entries], n_baskets: int, names: Mapping[str, int]) -> pa.RecordBatch:
    lengths, codes = _rows(np.concatenate(parts), n_baskets)
    row = {
        "n_baskets": pa.array([n_baskets], pa.int64()),
        "items": pa.array([list(names)], pa.list_(pa.string())),
        "lengths": pa.array([lengths.tobytes()], pa.binary()),
        "codes": pa.array([codes.tobytes()], pa.binary()),
    }
    return pa.RecordBatch.from_pydict(row)


def _rows(entries: Entries, n_baskets: int) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]:
    """Lengths of the baskets, and their codes: distinct, ascending within a basket."""
    entries = np.sort(entries)
    if len(entries):
        entries = entries[np.concatenate([[True], entries[1:] != entries[:-1]])]
    lengths = np.bincount(entries >> 32, minlength=n_baskets).astype(CODE)
    return lengths, (entries & 0xFFFFFFFF).astype(CODE)


def _read(batch: pa.RecordBatch, row: int) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]:
    lengths, codes = (batch.column(name)[row].as_buffer() for name in ("lengths", "codes"))
    return np.frombuffer(lengths, CODE), np.frombuffer(codes, CODE)


def item_counts(batches: Batches) -> Batches:
    """PACKED → ITEMS: how many baskets of each packed row hold each item."""
    for batch in batches:
        for row in range(batch.num_rows):
            items = batch.column("items").slice(row, 1).flatten()
            freq = np.bincount(_read(batch, row)[1], minlength=len(items))
            yield pa.RecordBatch.from_arrays([items, pa.array(freq, pa.int64())], names=["item", "freq"])


def encode(numbers: Callable[[], Mapping[str, int]], n_blocks: int) -> ArrowMap:
    """PACKED → BLOCKS: only the items that have a number, only baskets with two of them.

    Which block a basket goes to hangs on its content alone: a task that runs twice sends nothing elsewhere.
    """

    def run(batches: Batches) -> Batches:
        number = numbers()
        spread = np.random.default_rng(SEED).integers(0, 1 << 63, size=len(number), dtype=np.uint64)
        for batch in batches:
            for row in range(batch.num_rows):
                lengths, codes = _read(batch, row)
                items = batch.column("items").slice(row, 1).flatten().to_pylist()
                known = np.array([number.get(item, -1) for item in items], dtype=np.int64)
                numbered = known[codes] if len(known) else codes.astype(np.int64)
                basket = np.repeat(np.arange(len(lengths), dtype=np.int64), lengths)
                entries = ((basket << 32) | numbered)[numbered >= 0]
                yield from _spread(*_rows(entries, len(lengths)), spread, n_blocks)

    return run


def _spread(
    lengths: npt.NDArray[np.int32],
    codes: npt.NDArray[np.int32],
    spread: npt.NDArray[np.uint64],
    n_blocks: int,
) -> Batches:
    """BLOCKS rows of one packed row: one for each block that gets a basket of it."""
    long = lengths >= 2
    codes, lengths = codes[np.repeat(long, lengths)], lengths[long]
    if not len(lengths):
        return
    starts = np.concatenate([[0], np.cumsum(lengths)])[:-1]
    block = (np.add.reduceat(spread[codes], starts) % np.uint64(n_blocks)).astype(np.int64)
    order = np.argsort(block, kind="stable")
    by_entry = np.argsort(np.repeat(block, lengths), kind="stable")
    codes, lengths = codes[by_entry], lengths[order]
    found, first = np.unique(block[order], return_index=True)
    ends = np.concatenate([[0], np.cumsum(lengths)])
    for at, low, high in zip(found, first, [*first[1:], len(lengths)], strict=True):
        yield pa.RecordBatch.from_pydict(
            {
                "block": pa.array([at], pa.int32()),
                "n_baskets": pa.array([high - low], pa.int64()),
                "lengths": pa.array([lengths[low:high].tobytes()], pa.binary()),
                "codes": pa.array([codes[ends[low] : ends[high]].tobytes()], pa.binary()),
            }
        )


def _blocks(batches: Batches, n_items: int) -> Iterator[Block]:
    """The blocks of one partition, whole."""
    parts: dict[int, list[tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]]] = {}
    for batch in batches:
        for row in range(batch.num_rows):
            parts.setdefault(batch.column("block")[row].as_py(), []).append(_read(batch, row))
    for at in sorted(parts):
        some = parts.pop(at)
        lengths = np.concatenate([lengths for lengths, _ in some])
        starts = np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)])
        yield Block(starts, np.concatenate([codes for _, codes in some]), n_items)


def with_rarest(block: Block, max_items: int) -> Block:
    """The block with at most `max_items` items per basket: the rarest, which tell most."""
    lengths = np.diff(block.starts)
    place = np.arange(len(block.codes)) - np.repeat(block.starts[:-1], lengths)
    starts = np.concatenate([[0], np.cumsum(np.minimum(lengths, max_items))])
    return Block(starts, block.codes[place < max_items], block.n_items)


def mine(
    *, n_items: int, least: int, n_baskets: int, max_length: int, max_items: int, max_found: int
) -> ArrowMap:
    """BLOCKS → KEYS: what is frequent within each block, at its share of `least`.

    An itemset that `least` of all `n_baskets` baskets hold is frequent in one block at least (Savasere 1995).
    `missed`: how often an itemset that is not told of this block may still stand in it. A row with an empty
    key tells of the block itself; a row without a key says that there is more than `max_found`.
    """

    def run(batches: Batches) -> Batches:
        for block in _blocks(batches, n_items):
            local = max(1, -(-least * block.n_baskets // n_baskets))
            yield _keys({0: [np.zeros((1, 0), CODE)]}, {0: [np.zeros(1, np.int64)]}, local - 1)
            shown = with_rarest(block, max_items) if max_items else block
            yield from _mined(shown, local, max_length, max_found)

    return run


def _mined(block: Block, local: int, max_length: int, max_found: int) -> Batches:
    sets: dict[int, list[npt.NDArray[np.int32]]] = {}
    counts: dict[int, list[Counts]] = {}
    waiting = total = 0
    for found in mined(block, least=local, max_length=max_length):
        size, n = len(found.prefix) + 1, len(found.last)
        made = np.empty((n, size), CODE)
        made[:, :-1] = found.prefix
        made[:, -1] = found.last
        sets.setdefault(size, []).append(made)
        counts.setdefault(size, []).append(found.counts)
        waiting, total = waiting + n, total + n
        if total > max_found:
            too_many = {"key": [None], "n": [total], "missed": [0]}
            yield pa.RecordBatch.from_pydict(
                too_many, pa.schema([("key", pa.binary()), ("n", pa.int64()), ("missed", pa.int64())])
            )
            return
        if waiting >= OUT_ROWS:
            yield _keys(sets, counts, local - 1)
            sets, counts, waiting = {}, {}, 0
    if waiting:
        yield _keys(sets, counts, local - 1)


def _keys(
    sets: Mapping[int, Iterable[npt.NDArray[np.int32]]], counts: Mapping[int, Iterable[Counts]], missed: int
) -> pa.RecordBatch:
    """KEYS rows of itemsets by size."""
    keys = pa.concat_arrays([_binary(np.concatenate(list(some))) for some in sets.values()])
    n = np.concatenate([np.concatenate(list(some)) for some in counts.values()])
    columns = [keys, pa.array(n, pa.int64()), pa.array(np.full(len(n), missed), pa.int64())]
    return pa.RecordBatch.from_arrays(columns, names=["key", "n", "missed"])


def _binary(codes: npt.NDArray[np.int32]) -> pa.Array:
    """Each line of a matrix of codes as bytes."""
    n, width = codes.shape
    offsets = np.arange(0, (n + 1) * width * 4, width * 4, dtype=np.int32)[: n + 1] if width else [0] * (n + 1)
    buffers = [None, pa.py_buffer(np.asarray(offsets, np.int32)), pa.py_buffer(np.ascontiguousarray(codes))]
    return pa.Array.from_buffers(pa.binary(), n, buffers)


def by_size(keys: pa.Array) -> list[npt.NDArray[np.int32]]:
    """Itemset keys as one matrix of codes per size; no keys, no matrices."""
    lengths = pc.divide(pc.binary_length(keys), 4).to_numpy(zero_copy_only=False)
    made = []
    for size in np.unique(lengths).tolist():
        some = keys.filter(pa.array(lengths == size))
        made.append(np.frombuffer(b"".join(some.to_pylist()), CODE).reshape(-1, size))
    return made


def count(candidates: Callable[[], Sequence[npt.NDArray[np.int32]]], n_items: int) -> ArrowMap:
    """BLOCKS → COUNTED: how many baskets of each block hold each candidate."""

    def run(batches: Batches) -> Batches:
        wanted = candidates()
        for block in _blocks(batches, n_items):
            for some, freq in zip(wanted, counted(block, wanted), strict=True):
                for at in range(0, len(some), OUT_ROWS):
                    held = np.flatnonzero(freq[at : at + OUT_ROWS]) + at
                    columns = [_binary(some[held]), pa.array(freq[held], pa.int64())]
                    yield pa.RecordBatch.from_arrays(columns, names=["key", "freq"])

    return run


def as_keys(batches: Batches) -> Batches:
    """codes array<int>, ascending → key."""
    for batch in batches:
        codes = batch.column("codes")
        flat = pc.list_flatten(codes).to_numpy(zero_copy_only=False).astype(CODE)
        lengths = pc.list_value_length(codes).to_numpy(zero_copy_only=False)
        offsets = np.concatenate([[0], np.cumsum(lengths) * 4]).astype(np.int32)
        buffers = [None, pa.py_buffer(offsets), pa.py_buffer(flat)]
        keys = pa.Array.from_buffers(pa.binary(), len(codes), buffers)
        yield pa.RecordBatch.from_arrays([keys], names=["key"])


def decode(names: Callable[[], Sequence[str]]) -> ArrowMap:
    """COUNTED → ITEMSETS: keys as sorted names."""

    def run(batches: Batches) -> Batches:
        known = names()
        alphabet = pa.array(sorted(known), pa.string())
        place = {name: at for at, name in enumerate(alphabet.to_pylist())}
        at_of = np.array([place[name] for name in known], dtype=np.int32)
        for batch in batches:
            keys = batch.column("key")
            codes = np.frombuffer(b"".join(keys.to_pylist()), CODE)
            lengths = pc.divide(pc.binary_length(keys), 4).to_numpy(zero_copy_only=False)
            basket = np.repeat(np.arange(len(keys), dtype=np.int64), lengths)
            at = (np.sort((basket << 32) | at_of[codes]) & 0xFFFFFFFF).astype(np.int32)
            offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
            items = pa.ListArray.from_arrays(pa.array(offsets), pc.take(alphabet, pa.array(at)))
            yield pa.RecordBatch.from_arrays([items, batch.column("freq")], names=["items", "freq"])

    return run
