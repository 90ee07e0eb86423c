"""DBSCAN on Spark beside one scikit-learn process: seconds, peak memory, ratios, and whether the answers agree.

    python -m benchmarks.dbscan --sizes 100000 300000 1000000 --cores 2

Both read the same points from a file, in a process of their own, one after the other; what is timed is from
the file to labels of every row. Spark's time leaves out the start of its session, scikit-learn's the imports.
Memory is the largest sum of the resident sets of a process and all its children, looked at five times a second.
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

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

WIDTH, N_GROUPS, NOISE_SHARE = 4, 30, 0.05
MIN_SAMPLES = 10
NEIGHBOURS = 40  # rows within eps of a typical row, at every size: eps shrinks as the data grow
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")


def points_of(n: int, seed: int = 1) -> np.ndarray:
    """Groups of unlike size and width in four dimensions, and uniform noise."""
    draw = np.random.default_rng(seed)
    centres, spread = draw.uniform(-20, 20, (N_GROUPS, WIDTH)), draw.uniform(0.6, 1.6, N_GROUPS)
    group = draw.choice(N_GROUPS, n, p=draw.dirichlet(np.full(N_GROUPS, 5.0)))
    points = centres[group] + draw.normal(size=(n, WIDTH)) * spread[group, None]
    is_noise = draw.uniform(size=n) < NOISE_SHARE
    points[is_noise] = draw.uniform(-25, 25, (int(is_noise.sum()), WIDTH))
    return points


def eps_of(points: np.ndarray) -> float:
    """The distance within which half of 500 rows have NEIGHBOURS others."""
    from scipy.spatial import cKDTree

    distance, _ = cKDTree(points).query(points[:: len(points) // 500], k=[NEIGHBOURS])
    return round(float(np.median(distance)), 4)


def by_scikit_learn(folder: Path, eps: float, cores: int) -> float:
    from sklearn.cluster import DBSCAN

    start = time.perf_counter()
    table = pq.read_table(folder / "points.parquet")
    points = np.column_stack([table[f"x{i}"] for i in range(WIDTH)])
    fitted = DBSCAN(eps=eps, min_samples=MIN_SAMPLES).fit(points)
    seconds = time.perf_counter() - start
    is_core = np.zeros(len(points), dtype=bool)
    is_core[fitted.core_sample_indices_] = True
    answers = pa.table({"id": table["id"], "label": fitted.labels_, "core": is_core})
    pq.write_table(answers, folder / "scikit-learn.parquet")
    return seconds


def by_medlake(folder: Path, eps: float, cores: int) -> float:
    from pyspark.sql import SparkSession
    from pyspark.sql import functions as F

    from medlake.ml import DBSCAN

    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    spark = (
        SparkSession.builder.master(f"local[{cores}]").config("spark.driver.memory", "2g")
        .config("spark.ui.enabled", "false").config("spark.ui.showConsoleProgress", "false")
        .config("spark.sql.shuffle.partitions", str(4 * cores)).config("spark.sql.files.maxPartitionBytes", "8m")
        .config("spark.driver.host", "127.0.0.1").getOrCreate()
    )  # fmt: skip
    spark.sparkContext.setLogLevel("ERROR")
    start = time.perf_counter()
    rows = spark.read.parquet(str(folder / "points.parquet"))
    rows = rows.select("id", F.array(*[f"x{i}" for i in range(WIDTH)]).alias("features"))
    model = DBSCAN(eps=eps, minSamples=MIN_SAMPLES).fit(rows)
    fitted = time.perf_counter()
    answers = model.transform(rows).select("id", F.col("cluster").alias("label"), F.col("isCore").alias("core"))
    answers.write.mode("overwrite").parquet(str(folder / "medlake.parquet"))
    seconds = time.perf_counter() - start
    print(f"  fit {fitted - start:.1f} s, {model._cells.n} cells", file=sys.stderr)
    spark.stop()
    return seconds


ENGINES = {"scikit-learn": by_scikit_learn, "medlake": by_medlake}


def resident_mb(root: int) -> float:
    """Resident memory of a process and all its children, in MB."""
    parent, resident = {}, {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue  # it has ended
            parent[int(entry.name)], resident[int(entry.name)] = int(fields[1]), int(fields[21]) * 4096 / 1e6

    def belongs(pid: int) -> bool:
        while pid in parent:
            if pid == root:
                return True
            pid = parent[pid]
        return False

    return sum(size for pid, size in resident.items() if belongs(pid))


def measured(engine: str, folder: Path, eps: float, cores: int) -> dict[str, float]:
    """Seconds and peak memory of one engine in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.dbscan", "--engine", engine, "--folder", str(folder)]
    command += ["--eps", str(eps), "--cores", str(cores)]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, env={**os.environ, **ONE_THREAD})
    peak = 0.0
    while child.poll() is None:
        peak = max(peak, resident_mb(child.pid))
        time.sleep(0.2)
    if child.returncode or child.stdout is None:
        raise SystemExit(f"{engine} ended with {child.returncode}")
    return {"seconds": json.loads(child.stdout.read().splitlines()[-1])["seconds"], "peak_mb": peak}


def agree(folder: Path) -> bool:
    """The same core points, the same noise, and groups of core points that map one to one."""
    a, b = (pq.read_table(folder / f"{name}.parquet").sort_by("id") for name in ENGINES)
    (label, core), (other, other_core) = ((np.asarray(t["label"]), np.asarray(t["core"])) for t in (a, b))
    pairs = set(zip(label[core].tolist(), other[core].tolist(), strict=True))
    one_to_one = len(pairs) == len({x for x, _ in pairs}) == len({y for _, y in pairs})
    return bool((core == other_core).all() and ((label == -1) == (other == -1)).all() and one_to_one)


def compared(sizes: list[int], cores: int) -> None:
    """Print one line per size."""
    print(f"{'rows':>9} {'eps':>7} | {'scikit-learn':>20} | {'medlake':>20} | {'time':>6} {'memory':>6} | same")
    for n in sizes:
        with tempfile.TemporaryDirectory(prefix="dbscan-") as scratch:
            folder = Path(scratch)
            points = points_of(n)
            columns = {f"x{i}": points[:, i] for i in range(WIDTH)}
            pq.write_table(pa.table({"id": np.arange(n), **columns}), folder / "points.parquet", row_group_size=50_000)
            eps = eps_of(points)
            del points
            found = {engine: measured(engine, folder, eps, cores) for engine in ENGINES}
            one, ours = found["scikit-learn"], found["medlake"]
            cells = [f"{f['seconds']:8.1f} s {f['peak_mb']:6.0f} MB" for f in (one, ours)]
            ratio, memory = one["seconds"] / ours["seconds"], one["peak_mb"] / ours["peak_mb"]
            said = f"{n:9,} {eps:7.3f} | {cells[0]:>20} | {cells[1]:>20} | {ratio:5.2f}x {memory:5.2f}x"
            print(f"{said} | {agree(folder)}", flush=True)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--sizes", type=int, nargs="+", default=[100_000, 300_000, 1_000_000])
    arguments.add_argument("--cores", type=int, default=2)
    arguments.add_argument("--engine", choices=ENGINES)
    arguments.add_argument("--folder", type=Path)
    arguments.add_argument("--eps", type=float)
    asked = arguments.parse_args()
    if asked.engine:
        print(json.dumps({"seconds": ENGINES[asked.engine](asked.folder, asked.eps, asked.cores)}))
    else:
        compared(asked.sizes, asked.cores)


if __name__ == "__main__":
    main()
