"""Made-up rows that are like real ones: each column, and each column given the one it hangs on most (a Chow-Liu tree).

Fitting runs Spark jobs: counts of values and of pairs of values, of bounded number. What is made knows of the real rows
nothing but these counts. Numbers and days are put into bands, within which they are drawn evenly; values that are rare
become `other`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql import types as T

from medlake.grammar.errors import ConfigError

MAX_COLUMNS, MAX_VALUES, BANDS = 20, 50, 20
BLOCK = 10_000  # rows drawn from one seed: the same rows, however they are spread
MISSING, OTHER = "\0missing", "other"
Counts = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Part:
    """One column: its labels, and for a number or a day the edges of its bands (label = number of the band)."""

    name: str
    kind: str  # word, whole, real, day
    labels: tuple[str, ...]
    edges: tuple[float, ...] = ()


@dataclass(frozen=True)
class Tree:
    """What was fitted: for each column its parent (-1: none) and counts (labels of the parent × its own)."""

    parts: tuple[Part, ...]
    order: tuple[int, ...]
    parent: tuple[int, ...]
    counts: tuple[Counts, ...]
    pairs: dict[tuple[int, int], Counts]
    n_rows: int


def fitted(release: DataFrame, columns: Sequence[str]) -> Tree:
    """Count values and pairs, and choose the tree whose pairs tell most.

    Raises:
        ConfigError: there are too many columns, or one is of a type that cannot be made up.
    """
    if not 2 <= len(columns) <= MAX_COLUMNS:
        raise ConfigError(f"Made-up rows need 2 to {MAX_COLUMNS} columns")
    parts = _parts(release, columns)
    pairs, n_rows = counted(release, parts)
    return _tree(parts, pairs, n_rows)


def labelled(release: DataFrame, parts: Sequence[Part]) -> DataFrame:
    """Each column's label as its place in the list of labels (smallint)."""
    return release.select(*[_place(part).alias(part.name) for part in parts])


def counted(release: DataFrame, parts: Sequence[Part]) -> tuple[dict[tuple[int, int], Counts], int]:
    """(first, second) → counts of their labels, and the number of rows."""
    every = list(combinations(range(len(parts)), 2))
    places = labelled(release, parts)
    structs = [
        F.struct(F.lit(n).alias("pair"), F.col(parts[i].name).alias("a"), F.col(parts[j].name).alias("b"))
        for n, (i, j) in enumerate(every)
    ]
    told = places.select(F.explode(F.array(*structs)).alias("x")).groupBy("x").agg(F.count(F.lit(1)).alias("n"))
    pairs = {at: np.zeros((len(parts[at[0]].labels), len(parts[at[1]].labels))) for at in every}
    for row in told.collect():  # at most pairs × labels²
        pairs[every[row["x"]["pair"]]][row["x"]["a"], row["x"]["b"]] = row["n"]
    return pairs, int(next(iter(pairs.values())).sum())


def made_up(tree: Tree, like: DataFrame, *, n: int, seed: int) -> DataFrame:
    """n rows of the columns and types of `like`, from a seed."""
    schema = T.StructType([like.schema[part.name] for part in tree.parts])
    arrow = pa.schema([(part.name, _arrow(part)) for part in tree.parts])
    plain = ", ".join(f"`{part.name}` {_PLAIN[part.kind]}" for part in tree.parts)

    def draw(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            for block in batch.column("id").to_pylist():
                values = drawn(tree, min(BLOCK, n - block * BLOCK), np.random.default_rng([seed, block]))
                yield pa.RecordBatch.from_arrays(
                    [pa.array(v, t) for v, t in zip(values, arrow.types, strict=True)], schema=arrow
                )

    blocks = like.sparkSession.range((n + BLOCK - 1) // BLOCK)
    rows = blocks.mapInArrow(draw, plain)
    days = {p.name: F.date_add(F.lit("1970-01-01").cast("date"), F.col(p.name)) for p in tree.parts if p.kind == "day"}
    return rows.withColumns(days).select(*[F.col(f.name).cast(f.dataType).alias(f.name) for f in schema])


def drawn(tree: Tree, n: int, draw: np.random.Generator) -> list[list[object]]:
    """n values of each column: places down the tree, then a value within each band."""
    places: dict[int, npt.NDArray[np.int64]] = {}
    for i in tree.order:
        table = tree.counts[i]
        above = places[tree.parent[i]] if tree.parent[i] >= 0 else np.zeros(n, np.int64)
        sums = table.cumsum(axis=1)
        empty = sums[:, -1] == 0  # a label that no row has: the column on its own
        sums[empty] = table.sum(axis=0).cumsum()
        at = draw.random(n) * sums[above, -1]
        places[i] = (sums[above] <= at[:, None]).sum(axis=1).clip(0, table.shape[1] - 1)
    return [_values(part, places[i], draw) for i, part in enumerate(tree.parts)]


def distances(tree: Tree, other: dict[tuple[int, int], Counts], n_other: int) -> tuple[float, float]:
    """(mean over columns, over pairs) of the total variation distance to other counts: 0 same, 1 nothing in common."""

    def apart(a: Counts, b: Counts) -> float:
        return float(np.abs(a / max(tree.n_rows, 1) - b / max(n_other, 1)).sum() / 2)

    pairs = [apart(tree.pairs[at], other[at]) for at in tree.pairs]
    columns = {at[0]: apart(tree.pairs[at].sum(axis=1), other[at].sum(axis=1)) for at in tree.pairs}
    columns |= {at[1]: apart(tree.pairs[at].sum(axis=0), other[at].sum(axis=0)) for at in tree.pairs}
    return float(np.mean(list(columns.values()))), float(np.mean(pairs))


def nearest(rows: npt.NDArray[np.int64], among: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """For each row (labels by place) the share of columns in which its nearest of `among` differs."""
    found = np.ones(len(rows))
    for start in range(0, len(rows), 256):
        apart = (rows[start : start + 256, None, :] != among[None, :, :]).mean(axis=2)
        found[start : start + 256] = apart.min(axis=1) if len(among) else 1.0
    return found


def _parts(release: DataFrame, columns: Sequence[str]) -> tuple[Part, ...]:
    kinds = {name: _kind(release.schema[name]) for name in columns}
    numbers = [name for name in columns if kinds[name] != "word"]
    edges: dict[str, tuple[float, ...]] = {}
    if numbers:
        shares = [i / BANDS for i in range(BANDS + 1)]
        asked = [F.percentile_approx(_number(name, kinds[name]), shares, 10_000).alias(name) for name in numbers]
        found = release.agg(*asked).collect()[0]
        edges = {name: tuple(sorted({float(x) for x in found[name] or (0.0,)})) for name in numbers}
    words = [name for name in columns if kinds[name] == "word"]
    labels: dict[str, list[str]] = {name: [] for name in words}
    if words:
        structs = [F.struct(F.lit(name).alias("name"), F.col(name).cast("string").alias("value")) for name in words]
        seen = (
            release.select(F.explode(F.array(*structs)).alias("x"))
            .where("x.value IS NOT NULL")
            .groupBy("x.name", "x.value")
            .count()
        )
        best = seen.groupBy("name").agg(
            F.slice(F.reverse(F.array_sort(F.collect_list(F.struct("count", "value")))), 1, MAX_VALUES).alias("top")
        )
        for row in best.collect():  # at most columns × MAX_VALUES values
            labels[row["name"]] = sorted(one["value"] for one in row["top"])
    made = []
    for name in columns:
        known = labels[name] if kinds[name] == "word" else [str(i) for i in range(max(len(edges[name]) - 1, 1))]
        made.append(Part(name, kinds[name], (MISSING, OTHER, *known), edges.get(name, ())))
    return tuple(made)


def _kind(of: T.StructField) -> str:
    if isinstance(of.dataType, T.StringType | T.BooleanType):
        return "word"
    if isinstance(of.dataType, T.IntegerType | T.LongType | T.ShortType):
        return "whole"
    if isinstance(of.dataType, T.DoubleType | T.FloatType | T.DecimalType):
        return "real"
    if isinstance(of.dataType, T.DateType):
        return "day"
    raise ConfigError(f"{of.name}: a column of type {of.dataType.simpleString()} cannot be made up")


def _number(name: str, kind: str) -> Column:
    return (
        F.datediff(F.col(name), F.lit("1970-01-01").cast("date")).cast("double")
        if kind == "day"
        else F.col(name).cast("double")
    )


def _place(part: Part) -> Column:
    """The place of the column's label in `part.labels`."""
    if part.kind == "word":
        pairs = [x for i, label in enumerate(part.labels) if i > 1 for x in (F.lit(label), F.lit(i))]
        known = (
            F.element_at(F.create_map(*pairs), F.col(part.name).cast("string")) if pairs else F.lit(None).cast("int")
        )
        return F.when(F.col(part.name).isNull(), 0).otherwise(F.coalesce(known, F.lit(1)))
    value = _number(part.name, part.kind)
    inner = part.edges[1:-1]
    band = sum((F.when(value > F.lit(edge), 1).otherwise(0) for edge in inner), F.lit(0))
    return F.when(value.isNull(), 0).otherwise(band + F.lit(2))


def _tree(parts: tuple[Part, ...], pairs: dict[tuple[int, int], Counts], n_rows: int) -> Tree:
    """The spanning tree of greatest mutual information, from the first column."""
    order, parent = [0], {0: -1}
    while len(order) < len(parts):
        open_pairs = [(i, j) for i in order for j in range(len(parts)) if j not in parent]
        i, j = max(open_pairs, key=lambda at: (_told(pairs[min(at), max(at)]), -at[1], -at[0]))
        order.append(j)
        parent[j] = i
    counts = []
    for j in range(len(parts)):
        i = parent[j]
        if i < 0:
            counts.append(pairs[0, 1].sum(axis=1)[None, :])
        else:
            counts.append(pairs[i, j] if i < j else pairs[j, i].T)
    return Tree(parts, tuple(order), tuple(parent[j] for j in range(len(parts))), tuple(counts), pairs, n_rows)


def _told(table: Counts) -> float:
    """Mutual information in nats."""
    p = table / max(table.sum(), 1.0)
    alone = p.sum(axis=1)[:, None] * p.sum(axis=0)[None, :]
    there = p > 0
    return float((p[there] * np.log(p[there] / alone[there])).sum())


def _values(part: Part, places: npt.NDArray[np.int64], draw: np.random.Generator) -> list[object]:
    if part.kind == "word":
        return [None if at == 0 else part.labels[at] for at in places]
    edges = np.asarray(part.edges if len(part.edges) > 1 else (*part.edges, *part.edges))
    band = (places - 2).clip(0, len(edges) - 2)
    value = edges[band] + draw.random(len(places)) * (edges[band + 1] - edges[band])
    if part.kind in ("whole", "day"):
        whole = np.where(edges[band + 1] > edges[band], np.ceil(value), value)
        return [None if at == 0 else int(v) for at, v in zip(places, whole, strict=True)]
    return [None if at == 0 else float(v) for at, v in zip(places, value, strict=True)]


_PLAIN = {"word": "string", "whole": "bigint", "real": "double", "day": "int"}


def _arrow(part: Part) -> pa.DataType:
    return {"word": pa.string(), "whole": pa.int64(), "real": pa.float64(), "day": pa.int32()}[part.kind]
