"""DBSCAN, K-means and BIRCH on Spark beside one scikit-learn process: seconds, peak memory, how far the answers agree.

    python -m benchmarks.groups [dbscan kmeans birch] [--sizes 100000 300000 1000000] [--cores 2]

Both read the same points from a file, in a process of their own, one after the other; what is timed is from
the file to labels of every row. Spark's time leaves out the start of its session, scikit-learn's the imports.
Memory is the largest sum of the resident sets of a process and all its children, looked at ten times a second.
DBSCAN must agree exactly (core points, noise, groups of core points); of K-means and BIRCH the ratio of the inertias
(medlake / scikit-learn) and the adjusted Rand index are told.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.environments import ONE_THREAD
from benchmarks.harness import Memory, machine

WIDTH, N_GROUPS, NOISE_SHARE = 4, 30, 0.05
MIN_SAMPLES = 10
NEIGHBOURS = 40  # rows within eps of a typical row, at every size: eps shrinks as the data grow
THRESHOLD, BRANCHING = 1.5, 50  # BIRCH's
SEED = 1


def points_of(n: int, noise: float, seed: int = 1) -> np.ndarray:
    """Groups of unlike size and width in four dimensions, and a share of uniform noise."""
    draw = np.random.default_rng(seed)
    centres, spread = draw.uniform(-20, 20, (N_GROUPS, WIDTH)), draw.uniform(0.6, 1.6, N_GROUPS)
    group = draw.choice(N_GROUPS, n, p=draw.dirichlet(np.full(N_GROUPS, 5.0)))
    points = centres[group] + draw.normal(size=(n, WIDTH)) * spread[group, None]
    is_noise = draw.uniform(size=n) < noise
    points[is_noise] = draw.uniform(-25, 25, (int(is_noise.sum()), WIDTH))
    return points


def eps_of(points: np.ndarray) -> float:
    """The distance within which half of 500 rows have NEIGHBOURS others."""
    from scipy.spatial import cKDTree

    distance, _ = cKDTree(points).query(points[:: len(points) // 500], k=[NEIGHBOURS])
    return round(float(np.median(distance)), 4)


def by_scikit_learn(method: str, folder: Path, eps: float, cores: int) -> float:
    from sklearn.cluster import DBSCAN, Birch, KMeans

    made: dict[str, Any] = {
        "dbscan": lambda: DBSCAN(eps=eps, min_samples=MIN_SAMPLES),
        "kmeans": lambda: KMeans(N_GROUPS, random_state=SEED),
        "birch": lambda: Birch(threshold=THRESHOLD, branching_factor=BRANCHING, n_clusters=N_GROUPS),
    }
    start = time.perf_counter()
    table = pq.read_table(folder / "points.parquet")
    fitted = made[method]().fit(np.column_stack([table[f"x{i}"] for i in range(WIDTH)]))
    answers = {"id": table["id"], "label": fitted.labels_}
    seconds = time.perf_counter() - start
    if method == "dbscan":
        answers["core"] = np.isin(np.arange(table.num_rows), fitted.core_sample_indices_)
    pq.write_table(pa.table(answers), folder / "scikit-learn.parquet")
    return seconds


def by_medlake(method: str, folder: Path, eps: float, cores: int) -> float:
    from pyspark.sql import functions as F

    from medlake.doors import session
    from medlake.ml import DBSCAN, Birch, KMeans

    made: dict[str, Any] = {
        "dbscan": lambda: DBSCAN(eps=eps, minSamples=MIN_SAMPLES),
        "kmeans": lambda: KMeans(k=N_GROUPS, seed=SEED),
        "birch": lambda: Birch(threshold=THRESHOLD, branchingFactor=BRANCHING, k=N_GROUPS),
    }
    spark = session.start("groups", {
        "spark.master": f"local[{cores}]", "spark.driver.memory": "2g", "spark.driver.host": "127.0.0.1",
        "spark.ui.enabled": "false", "spark.sql.shuffle.partitions": str(4 * cores),
        "spark.sql.files.maxPartitionBytes": "8m",
    })  # fmt: skip
    start = time.perf_counter()
    rows = spark.read.parquet(str(folder / "points.parquet"))
    rows = rows.select("id", F.array(*[f"x{i}" for i in range(WIDTH)]).alias("features"))
    model = made[method]().fit(rows)
    fitted = time.perf_counter()
    core = [F.col("isCore").alias("core")] if method == "dbscan" else []
    answers = model.transform(rows).select("id", F.col("cluster").alias("label"), *core)
    answers.write.mode("overwrite").parquet(str(folder / "medlake.parquet"))
    seconds = time.perf_counter() - start
    print(f"# {method}: fit {fitted - start:.1f} s of {seconds:.1f} s", file=sys.stderr)
    spark.stop()
    return seconds


ENGINES = {"scikit-learn": by_scikit_learn, "medlake": by_medlake}


def measured(engine: str, method: str, folder: Path, eps: float, cores: int) -> tuple[float, float]:
    """Seconds and peak memory in MB of one engine in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.groups", method, "--engine", engine, "--folder", str(folder)]
    command += ["--eps", str(eps), "--cores", str(cores)]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, env={**os.environ, **ONE_THREAD})
    with Memory(child.pid) as memory:
        said, _ = child.communicate()
    if child.returncode:
        raise SystemExit(f"{engine} ended with {child.returncode}")
    return json.loads(said.splitlines()[-1])["seconds"], memory.peak / 1e6


def agreement(method: str, folder: Path, points: np.ndarray) -> str:
    """How far the two answers are the same, in words."""
    a, b = (pq.read_table(folder / f"{name}.parquet").sort_by("id") for name in ENGINES)
    label, other = (np.asarray(t["label"]) for t in (a, b))
    if method == "dbscan":
        core, other_core = (np.asarray(t["core"]) for t in (a, b))
        pairs = set(zip(label[core].tolist(), other[core].tolist(), strict=True))
        one_to_one = len(pairs) == len({x for x, _ in pairs}) == len({y for _, y in pairs})
        same = (core == other_core).all() and ((label == -1) == (other == -1)).all() and one_to_one
        return "the same" if same else "NOT the same"
    from sklearn.metrics import adjusted_rand_score

    ratio = inertia(points, other) / inertia(points, label)
    return f"inertia {ratio:.4f}, adjusted Rand {adjusted_rand_score(label, other):.3f}"


def inertia(points: np.ndarray, label: np.ndarray) -> float:
    """Squared distances to the mean of each one's group, summed."""
    return sum(float(((p - p.mean(axis=0)) ** 2).sum()) for p in (points[label == k] for k in np.unique(label)))


def compared(method: str, sizes: list[int], cores: int) -> None:
    """Print one line per size."""
    print(f"| {method} rows | scikit-learn s | MB | medlake s | MB | times faster | agreement |")
    print("|---:|---:|---:|---:|---:|---:|---|", flush=True)
    for n in sizes:
        with tempfile.TemporaryDirectory(prefix="groups-") as scratch:
            folder = Path(scratch)
            points = points_of(n, NOISE_SHARE if method == "dbscan" else 0.0)
            columns = {f"x{i}": points[:, i] for i in range(WIDTH)}
            pq.write_table(pa.table({"id": np.arange(n), **columns}), folder / "points.parquet", row_group_size=50_000)
            eps = eps_of(points) if method == "dbscan" else 0.0
            (one, one_mb), (ours, ours_mb) = (measured(e, method, folder, eps, cores) for e in ENGINES)
            said = f"| {n:,} | {one:.1f} | {one_mb:,.0f} | {ours:.1f} | {ours_mb:,.0f} | {one / ours:.2f} |"
            print(f"{said} {agreement(method, folder, points)} |", flush=True)


def main() -> None:
    arguments = argparse.ArgumentParser(prog="python -m benchmarks.groups", description=__doc__.splitlines()[0])
    arguments.add_argument("methods", nargs="*", default=["dbscan", "kmeans", "birch"])
    arguments.add_argument("--sizes", type=int, nargs="+", default=[100_000, 300_000, 1_000_000])
    arguments.add_argument("--cores", type=int, default=2)
    arguments.add_argument("--engine", choices=ENGINES, help=argparse.SUPPRESS)
    arguments.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    arguments.add_argument("--eps", type=float, help=argparse.SUPPRESS)
    asked = arguments.parse_args()
    if asked.engine:
        seconds = ENGINES[asked.engine](asked.methods[0], asked.folder, asked.eps, asked.cores)
        print(json.dumps({"seconds": seconds}))
        return
    print(f"Machine: {machine()}\n", flush=True)
    for method in asked.methods:
        compared(method, asked.sizes, asked.cores)
        print()


if __name__ == "__main__":
    main()
