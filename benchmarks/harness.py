"""Contestants in turn on the same data: start-up, first run, median of the others, and the memory of all processes.

Every contestant is one process that stays (so that a JVM is warm after its first run) and does the same work
once per round, one after the other: A B C, A B C, … What the machine does beside hits all of them alike.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
CACHE = ROOT / ".cache" / "benchmarks"
SAMPLE_S = 0.1  # between two looks at the memory
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


class AbsentError(Exception):
    """A peer that cannot be had here; the others go on."""


def own_environment() -> Path:
    """The Python that medlake runs in."""
    return Path(sys.executable)


@dataclass(frozen=True)
class Contestant:
    """Who takes part: a script of benchmarks/peers, run by the Python that `install` returns."""

    name: str
    script: str
    install: Callable[[], Path] = own_environment
    args: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)


@dataclass
class Figures:
    """What was measured of one contestant on one size."""

    start_s: float
    seconds: list[float] = field(default_factory=list)  # the first is the cold one
    records: int = 0
    peak_bytes: int = 0

    @property
    def median_s(self) -> float:
        return statistics.median(self.seconds[1:])


class Running:
    """A contestant's process."""

    def __init__(self, who: Contestant, work: Path) -> None:
        self.who, self.log = who, work / f"{who.name.split()[0]}.log"
        own = os.pathsep.join(str(ROOT / part) for part in ("lib", "", "benchmarks/peers"))  # workers import too
        paths = {"PYTHONPATH": own} if who.install is own_environment else {}
        command = [str(who.install()), str(ROOT / "benchmarks" / "peers" / who.script), *who.args]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.log.open("wb"), text=True,
            env={**os.environ, **paths, **who.env}, cwd=work,
        )  # fmt: skip
        self.start_s = self._answer()["ready_s"]

    def run(self, data: Path, out: Path) -> tuple[float, int, int]:
        """(seconds, records, peak bytes of the process and all below it) of one run."""
        with Memory(self._process.pid) as memory:
            print(json.dumps({"data": str(data), "out": str(out)}), file=self._process.stdin, flush=True)
            answer = self._answer()
        return answer["seconds"], int(answer["records"]), memory.peak

    def _answer(self) -> dict[str, float]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            last = self.log.read_text(errors="replace")[-2000:]
            raise AbsentError(f"{self.who.name} ended with exit code {self._process.wait()}:\n{last}")
        return dict(json.loads(line))

    def stop(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            self._process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            self._process.kill()


class Memory:
    """The largest sum of resident memory of a process and those below it, looked at again and again."""

    def __init__(self, pid: int) -> None:
        self.pid, self.peak = pid, 0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Memory:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._over.is_set():
            self.peak = max(self.peak, resident_bytes(self.pid))
            self._over.wait(SAMPLE_S)


def resident_bytes(pid: int) -> int:
    """Resident bytes of a process and of all that it started (shared pages count in each)."""
    total, left = 0, [Path("/proc") / str(pid)]
    while left:
        one = left.pop()
        try:
            total += int((one / "statm").read_text().split()[1]) * PAGE_BYTES
            for task in (one / "task").iterdir():
                left += [Path("/proc") / child for child in (task / "children").read_text().split()]
        except OSError:  # it is gone
            continue
    return total


def compare(contestants: Sequence[Contestant], data: Path, work: Path, *, runs: int) -> dict[str, Figures]:
    """Run every contestant `runs` + 1 times in turn; those that cannot be had are told and left out."""
    work.mkdir(parents=True, exist_ok=True)
    here: list[Running] = []
    try:
        for who in contestants:
            try:
                here.append(Running(who, work))
            except AbsentError as why:
                print(f"# {who.name} takes no part: {why}", file=sys.stderr)
        figures = {one.who.name: Figures(one.start_s) for one in here}
        for number in range(runs + 1):
            for one in list(here):
                if not _turn(one, figures[one.who.name], data, work, number):
                    here.remove(one)
                    del figures[one.who.name]
        return figures
    finally:
        for one in here:
            one.stop()


def _turn(one: Running, figures: Figures, data: Path, work: Path, number: int) -> bool:
    out = work / f"{one.who.name.split()[0]}-{number}"
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir()
    try:
        seconds, figures.records, peak = one.run(data, out)
    except AbsentError as why:
        print(f"# {one.who.name} failed: {why}", file=sys.stderr)
        return False
    finally:
        shutil.rmtree(out, ignore_errors=True)
    figures.seconds.append(seconds)
    figures.peak_bytes = max(figures.peak_bytes, peak)
    print(f"# round {number}: {one.who.name} {seconds:.2f} s", file=sys.stderr, flush=True)
    return True


def table(figures: Mapping[str, Figures], title: str) -> str:
    """The figures as Markdown; ratios are to the first, which is medlake."""
    own = next(iter(figures.values())).median_s
    lines = [
        f"**{title}**", "",
        "| | seconds (median) | least–most | records/s | times medlake | peak MB | first run s | start-up s |",
        "|---|---:|---:|---:|---:|---:|---:|---:|",
    ]  # fmt: skip
    for name, f in figures.items():
        rest = f.seconds[1:]
        lines.append(
            f"| {name} | {f.median_s:.2f} | {min(rest):.2f}–{max(rest):.2f} | {f.records / f.median_s:,.0f} "
            f"| {f.median_s / own:.1f} | {f.peak_bytes / 1e6:,.0f} | {f.seconds[0]:.2f} | {f.start_s:.1f} |"
        )
    return "\n".join(lines)


def machine() -> str:
    """The machine in one line."""
    cpu = next((line.partition(":")[2].strip() for line in _lines("/proc/cpuinfo") if "model name" in line), "unknown")
    total = next((int(line.split()[1]) for line in _lines("/proc/meminfo") if line.startswith("MemTotal")), 0)
    return f"{os.cpu_count()} cores ({cpu}), {total / 1e6:.0f} GB, load {os.getloadavg()[0]:.1f} at the start"


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text().splitlines()
    except OSError:
        return []


def folder_of(data: Path) -> tuple[int, int]:
    """(files, bytes) below a folder."""
    sizes = [p.stat().st_size for p in data.rglob("*") if p.is_file()]
    return len(sizes), sum(sizes)
