"""The command line that the benchmarks share."""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks.data import made
from benchmarks.harness import CACHE, Contestant, compare, folder_of, machine, table

Make = Callable[[Path, int], None]


def main(name: str, contestants: Sequence[Contestant], make: Make, *, small: int, large: int, unit: str) -> None:
    """Run the contestants at two sizes and print a table for each."""
    said = "Prints seconds, ratios and memory."
    parser = argparse.ArgumentParser(prog=f"python -m benchmarks.{name}", description=said)
    parser.add_argument("--small", type=int, default=small, help="copies of the samples at the small size")
    parser.add_argument("--large", type=int, default=large, help="copies at the large size; 0 leaves it out")
    parser.add_argument("--runs", type=int, default=3, help="warm runs of each (one cold run comes before)")
    parser.add_argument("--only", help="contestants by the start of their names, with commas; medlake always runs")
    chosen = parser.parse_args()
    wanted = [c for c in contestants if _is_wanted(c, chosen.only)]
    print(f"Machine: {machine()}\n", flush=True)
    for copies in (chosen.small, chosen.large):
        if copies:
            data = made(name, copies, make)
            n_files, n_bytes = folder_of(data)
            figures = compare(wanted, data, CACHE / "work" / name, runs=chosen.runs)
            n = next(iter(figures.values())).records
            title = f"{name}: {n:,} {unit}, {n_bytes / 1e6:,.0f} MB in {n_files:,} files, {chosen.runs} runs each"
            print(table(figures, title) + "\n", flush=True)
    shutil.rmtree(CACHE / "work" / name, ignore_errors=True)


def _is_wanted(contestant: Contestant, only: str | None) -> bool:
    if only is None or contestant.name == "medlake":
        return True
    return contestant.name.lower().startswith(tuple(part.strip().lower() for part in only.split(",")))
