"""The stages of DBSCAN run one after the other without Spark: what a cluster does between them is a group-by."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

import numpy as np
import pyarrow as pa
from data_sets import DataSet
from scipy.spatial import cKDTree
from sklearn import cluster as one_machine

from medlake.ml import dbscan_stages as stages
from medlake.ml.blocks import from_bytes
from medlake.ml.cells import Cells, cells_of, frame_of
from medlake.ml.components import stars_of
from medlake.ml.metric import Metric


def rule_of(data: DataSet, pairs_at_once: int = 10**7) -> stages.Rule:
    metric = Metric(data.metric)
    return stages.Rule(metric, metric.radius(data.eps), data.min_samples, data.points.shape[1], pairs_at_once)


def cells_for(data: DataSet, rule: stages.Rule, most: float) -> Cells:
    sample = np.unique(rule.metric.embedded(data.points), axis=0)
    frame, largest = frame_of(sample, rule.metric.p), float(np.abs(sample).max())
    return cells_of(sample, frame=frame, per_point=1.0, most=most, reach=rule.radius, largest=largest)


def by_cell(batches: list[pa.RecordBatch]) -> Iterator[pa.Table]:
    table = pa.Table.from_batches(batches)
    for cell in sorted(set(table["cell"].to_pylist())):
        yield table.filter(pa.compute.equal(table["cell"], cell))


def clustered(data: DataSet, cells: Cells, rule: stages.Rule, n_partitions: int) -> tuple[np.ndarray, np.ndarray]:
    """(cluster, is it core) of every point, as fit and transform would give them, with numbers in any order."""
    routed: list[pa.RecordBatch] = []
    for part in np.array_split(np.random.default_rng(n_partitions).permutation(len(data.points)), n_partitions):
        batch = pa.RecordBatch.from_arrays([pa.array(list(data.points[part]), pa.list_(pa.float64()))], names=["p"])
        routed += stages.routed(cells, rule)(iter([batch]))
    find, match = stages.found(cells, rule), stages.matched(rule)
    local = pa.concat_tables([find(blocks) for blocks in by_cell(routed)])
    is_core = pa.compute.equal(local["kind"], stages.CORE)
    told = local.filter(pa.compute.invert(is_core)).combine_chunks()
    edges = [match(t) for t in by_cell(told.to_batches())] if told.num_rows else []
    a, b = (np.concatenate([np.empty(0, dtype=np.int64), *(np.asarray(e[n]) for e in edges)]) for n in "ab")
    root = dict(zip(*(side.tolist() for side in stars_of(a, b)), strict=True)) if len(a) else {}
    core = local.filter(is_core)
    blocks = [(root.get(c, c), p) for c, p in zip(core["comp"].to_pylist(), core["points"].to_pylist(), strict=True)]
    number = {r: i for i, r in enumerate(sorted({r for r, _ in blocks}))}
    return _labelled(data, cells, rule, [(number[r], p) for r, p in blocks])


def _labelled(
    data: DataSet, cells: Cells, rule: stages.Rule, blocks: list[tuple[int, bytes]]
) -> tuple[np.ndarray, np.ndarray]:
    label, is_core = np.full(len(data.points), -1), np.zeros(len(data.points), dtype=bool)
    if not blocks:
        return label, is_core
    held: dict[int, list[tuple[int, bytes]]] = defaultdict(list)
    batch = pa.RecordBatch.from_arrays(
        [pa.array([n for n, _ in blocks], pa.int32()), pa.array([p for _, p in blocks])], names=["cluster", "points"]
    )
    for spread in stages.spread(cells, rule)(iter([batch])):
        for row in spread.to_pylist():
            held[row["cell"]].append((row["cluster"], row["points"]))
    owner = np.asarray(stages.placed(cells, rule)(pa.array(list(data.points), pa.list_(pa.float64()))))
    for cell in np.unique(owner):
        rows = np.flatnonzero(owner == cell)
        if held[cell]:
            points = from_bytes([p for _, p in held[cell]], rule.width)
            clusters = np.repeat([n for n, _ in held[cell]], [len(p) // (8 * rule.width) for _, p in held[cell]])
            known = stages.Neighbours(cKDTree(points), clusters)
            label[rows], is_core[rows] = known.label(rule.metric.embedded(data.points[rows]), rule)
    return label, is_core


def differences(data: DataSet, label: np.ndarray, is_core: np.ndarray) -> list[str]:
    """How an answer differs from scikit-learn's, in words; empty where core points, their groups and noise are the same."""
    want = one_machine.DBSCAN(eps=data.eps, min_samples=data.min_samples, metric=data.metric).fit(data.points)
    core = np.zeros(len(data.points), dtype=bool)
    core[want.core_sample_indices_] = True
    pairs = set(zip(label[core].tolist(), want.labels_[core].tolist(), strict=True))
    said = {
        "core points": int((is_core != core).sum()),
        "noise": int(((label == -1) != (want.labels_ == -1)).sum()),
        "split groups": len(pairs) - len({b for _, b in pairs}),
        "merged groups": len(pairs) - len({a for a, _ in pairs}),
    }
    return [f"{n} {name}" for name, n in said.items() if n]
