"""Frequent itemsets beside mlxtend and efficient-apriori: seconds, peak memory, and that all find the same.

    python -m benchmarks.itemsets [--baskets 100000] [--supports 0.01,0.003] [--long] [--limit 600]

medlake: FrequentItemsets on Spark local[2]; MLlib's FP-growth through the same class; mlxtend's fpgrowth on a sparse
one-hot frame; efficient-apriori on lists. Each runs in a process of its own, reads the same Parquet file and finds all
itemsets of up to four items. Seconds: of the finding, reading included, start of Python, JVM and session left out;
for Spark the first fit in a session and the second, which counts in the ratio. Memory: the largest sum of the resident
memory of the process and all its children, JVM and workers among them (Linux's /proc). Data: patients with codes of a
Zipf-like frequency and planted groups of codes that go together; with --long, 5 % have some 300 to 500 codes.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from hashlib import sha256
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.harness import Memory

MAX_LENGTH = 4
N_CODES, N_GROUPS, GROUP = 1500, 40, 5


def baskets(n: int, *, seed: int = 1, long: bool = False) -> pa.Table:
    """items array<string> of n patients."""
    draw = np.random.default_rng(seed)
    share = 1 / np.arange(1, N_CODES + 1) ** 0.9
    sizes = draw.poisson(10, n) + 1
    heavy = (draw.random(n) < 0.05) & long
    sizes[heavy] = draw.integers(350, 641, heavy.sum())  # with repeats: 300 to 500 distinct ones
    rows = np.repeat(np.arange(n), sizes)
    codes = draw.choice(N_CODES, len(rows), p=share / share.sum())
    codes[heavy[rows]] = draw.integers(0, N_CODES, int(heavy[rows].sum()))
    groups = np.array([draw.choice(N_CODES, GROUP, replace=False) for _ in range(N_GROUPS)])
    who = draw.integers(0, n, n // 3)
    joined = groups[draw.integers(0, N_GROUPS, len(who))]
    rows, codes = np.concatenate([rows, np.repeat(who, GROUP)]), np.concatenate([codes, joined.ravel()])
    key = np.unique(rows.astype(np.int64) * N_CODES + codes)
    offsets = np.concatenate([[0], np.cumsum(np.bincount(key // N_CODES, minlength=n))])
    names = pa.array([f"ICD9CM//{c:04d}" for c in range(N_CODES)])
    items = pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), names.take(pa.array(key % N_CODES)))
    return pa.table({"items": items})


def by_spark(data: str, support: float, method: str) -> list[tuple[float, list[tuple[tuple[str, ...], int]]]]:
    from pyspark.sql import SparkSession

    from medlake.doors import session
    from medlake.doors.settings import Conf
    from medlake.ml import FrequentItemsets

    small = {"spark.master": "local[2]", "spark.driver.memory": "2g"}
    running: SparkSession = session.start("benchmark", {**Conf().spark("local"), **small})
    made = []
    for _ in range(2):
        started = time.perf_counter()
        estimator = FrequentItemsets(minSupport=support, maxLength=MAX_LENGTH, method=method)
        table = estimator.fit(running.read.parquet(data)).itemsets.toArrow()
        seconds = time.perf_counter() - started
        told = zip(table.column("items").to_pylist(), table.column("freq").to_pylist(), strict=True)
        made.append((seconds, [(tuple(items), n) for items, n in told]))
    running.stop()
    return made


def by_mlxtend(data: str, support: float) -> list[tuple[float, list[tuple[tuple[str, ...], int]]]]:
    import pandas as pd
    from mlxtend.frequent_patterns import fpgrowth
    from mlxtend.preprocessing import TransactionEncoder

    started = time.perf_counter()
    lists = pq.read_table(data).column("items").to_pylist()
    encoder = TransactionEncoder()
    wide = pd.DataFrame.sparse.from_spmatrix(encoder.fit_transform(lists, sparse=True), columns=encoder.columns_)
    found = fpgrowth(wide, min_support=support, use_colnames=True, max_len=MAX_LENGTH)
    seconds = time.perf_counter() - started
    told = zip(found.itemsets, found.support, strict=True)
    return [(seconds, [(tuple(sorted(items)), round(share * len(lists))) for items, share in told])]


def by_apriori(data: str, support: float) -> list[tuple[float, list[tuple[tuple[str, ...], int]]]]:
    from efficient_apriori import itemsets_from_transactions

    started = time.perf_counter()
    lists = pq.read_table(data).column("items").to_pylist()
    by_size, _ = itemsets_from_transactions([tuple(one) for one in lists], min_support=support, max_length=MAX_LENGTH)
    seconds = time.perf_counter() - started
    return [(seconds, [(tuple(sorted(s)), n) for sets in by_size.values() for s, n in sets.items()])]


Found = list[tuple[float, list[tuple[tuple[str, ...], int]]]]
CONTESTANTS: dict[str, Callable[[str, float], Found]] = {
    "medlake": lambda data, support: by_spark(data, support, "eclat"),
    "mlxtend": by_mlxtend,
    "efficient-apriori": by_apriori,
    "MLlib": lambda data, support: by_spark(data, support, "fpgrowth"),
}


def digest(found: Iterable[tuple[tuple[str, ...], int]]) -> str:
    return sha256(json.dumps(sorted(found)).encode()).hexdigest()[:12]


def one(name: str, data: str, support: float) -> None:
    """A contestant in its own process: prints what the parent reads."""
    runs = CONTESTANTS[name](data, support)
    told = {"seconds": [s for s, _ in runs], "n": len(runs[-1][1]), "digest": digest(runs[-1][1])}
    print("RESULT " + json.dumps(told), flush=True)


def measured(name: str, data: Path, support: float, limit: float) -> dict[str, object]:
    """What a contestant said, and the peak memory of its process tree in MB."""
    what = ["--one", name, "--data", str(data), "--supports", str(support)]
    with tempfile.TemporaryFile("w+") as out:
        command = [sys.executable, "-m", "benchmarks.itemsets", *what]
        child = subprocess.Popen(command, stdout=out, stderr=subprocess.DEVNULL, start_new_session=True)
        with Memory(child.pid) as memory:
            try:
                child.wait(limit)
            except subprocess.TimeoutExpired:
                os.killpg(child.pid, signal.SIGKILL)  # the group was made for this child alone
                child.wait()
        if child.returncode == -signal.SIGKILL:
            return {"peak": memory.peak / 1e6, "seconds": None}
        out.seek(0)
        told = [line for line in out if line.startswith("RESULT ")]
    if not told:
        return {"peak": memory.peak / 1e6, "seconds": None, "failed": True}
    return {**json.loads(told[-1].removeprefix("RESULT ")), "peak": memory.peak / 1e6}


def compare(data: Path, support: float, limit: float, names: Iterable[str]) -> None:
    """One table for one support."""
    figures = {name: measured(name, data, support, limit) for name in names}
    best = figures["medlake"].get("seconds")
    print(f"\nsupport {support:g}")
    print(f"{'':20}{'first s':>9}{'again s':>9}{'ratio':>8}{'peak MB':>9}{'itemsets':>10}  digest")
    for name, told in figures.items():
        seconds = told["seconds"]
        if not seconds:
            why = "failed" if told.get("failed") else f"> {limit:g}"
            least = f"> {limit / best[-1]:.1f}" if best and not told.get("failed") else ""
            print(f"{name:20}{why:>9}{'':9}{least:>8}{told['peak']:9.0f}")
            continue
        ratio = seconds[-1] / best[-1] if best else float("nan")
        again = f"{seconds[1]:9.2f}" if len(seconds) > 1 else " " * 9
        rest = f"{ratio:8.1f}{told['peak']:9.0f}{told['n']:10,}  {told['digest']}"
        print(f"{name:20}{seconds[0]:9.2f}{again}{rest}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.itemsets", description=__doc__.split("\n")[0])
    parser.add_argument("--baskets", type=int, default=100_000)
    parser.add_argument("--supports", default="0.01,0.003")
    parser.add_argument("--long", action="store_true", help="5 %% of the patients have some 300 to 500 codes")
    parser.add_argument("--limit", type=float, default=600, help="seconds for each contestant and support")
    parser.add_argument("--only", default=",".join(CONTESTANTS), help="contestants, with commas; medlake among them")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    parser.add_argument("--data", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    supports = [float(part) for part in chosen.supports.split(",")]
    if chosen.one:
        one(chosen.one, chosen.data, supports[0])
        return
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "baskets.parquet"
        table = baskets(chosen.baskets, long=chosen.long)
        pq.write_table(table, data, row_group_size=50_000)
        sizes = np.diff(table.column("items").combine_chunks().offsets.to_numpy())
        print(f"{chosen.baskets:,} baskets of {N_CODES:,} codes, {sizes.mean():.1f} on average, {sizes.max()} at most")
        for support in supports:
            compare(data, support, chosen.limit, chosen.only.split(","))


if __name__ == "__main__":
    main()
