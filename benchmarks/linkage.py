"""Linkage of synthetic people on Spark: seconds, peak memory, and how right the clusters are, at growing sizes.

    python -m benchmarks.linkage --sizes 100000 300000 1000000 --cores 2

Each size is a CSV file of a generator of our own (seeded) that corrupts records as Febrl's does: slips of the pen,
missing cells, names in the wrong column, pet names, day and month swapped, other addresses, other telephones; one
person in ten lives with family, one in a hundred has a twin. What is timed is the command `medlake link --csv`, from
the start of Python to the file of clusters. Memory is the largest sum of the resident sets of its processes, looked at
five times a second. Precision, recall and F1 count pairs of records.
"""

from __future__ import annotations

import argparse
import csv
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
import tomllib
from collections import defaultdict
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
COLUMNS = (
    "rec_id", "given_name", "surname", "sex", "date_of_birth", "street_number", "street", "suburb", "postcode", "phone",
    "soc_sec_id",
)  # fmt: skip
SINGLE = 0.65  # share of records that are the first of their person
MAX_SLIPS = 3  # per record
ENDS = ("son", "man", "er", "ton", "ley", "field", "berg", "ski", "ez", "ard", "well", "worth")
KINDS = ("street", "road", "place", "court", "avenue", "crescent")
LETTERS = "abcdefghijklmnopqrstuvwxyz"


class People:
    """Draws people and spoils their records."""

    def __init__(self, n: int, seed: int) -> None:
        self.draw = random.Random(seed)
        said = tomllib.loads((ROOT / "conf" / "link" / "nicknames.toml").read_text(encoding="utf-8"))
        self.pet = said["nicknames"]
        self.given = [*self.pet, *said["names"]["known"]]
        self.draw.shuffle(self.given)
        self.family = [self._word(2) + self.draw.choice(ENDS) for _ in range(max(2_000, n // 50))]
        self.street = [f"{self._word(3)} {self.draw.choice(KINDS)}" for _ in range(max(1_000, n // 100))]
        self.town = [(self._word(3), f"{i:05d}") for i in range(max(200, n // 500))]
        self.givens = [1 / (i + 10) for i in range(len(self.given))]  # few names are common, many rare
        self.families = [1 / (i + 50) for i in range(len(self.family))]

    def _word(self, syllables: int) -> str:
        return "".join(self.draw.choice("bcdfghklmnprstvw") + self.draw.choice("aeiou") for _ in range(syllables))

    def _drawn(self, names: list[str], weights: list[float], n: int) -> list[str]:
        return self.draw.choices(names, weights, k=n)

    def person(self, given: str, family: str, number: int) -> list[str]:
        """given, family, sex, birth, house, street, town, zip, phone, number."""
        draw = self.draw
        born = date(1925, 1, 1) + timedelta(days=draw.randrange(36_500))
        town, code = draw.choice(self.town)
        phone = f"{draw.randrange(10**9, 10**10)}"
        home = [str(draw.randrange(1, 200)), draw.choice(self.street), town, code]
        return [given, family, draw.choice("mf"), f"{born:%Y%m%d}", *home, phone, f"{number:09d}"]

    def people(self, n: int) -> list[list[str]]:
        """People, of whom some live with the one before, and some are that one's twin."""
        givens, families = self._drawn(self.given, self.givens, n), self._drawn(self.family, self.families, n)
        numbers = self.draw.sample(range(10**8, 10**9), n)
        told: list[list[str]] = []
        for given, family, number in zip(givens, families, numbers, strict=True):
            one = self.person(given, family, number)
            chance = self.draw.random()
            if told and chance < 0.11:
                before = told[-1]
                one[1], one[4:8] = before[1], before[4:8]
                if chance < 0.01 and one[0] != before[0]:
                    one[3] = before[3]
            told.append(one)
        return told

    def spoilt(self, person: list[str]) -> list[str]:
        """Another record of the same person."""
        record = list(person)
        for _ in range(self.draw.randint(1, MAX_SLIPS)):
            self._spoil(record)
        return record

    def _spoil(self, r: list[str]) -> None:
        draw, kind = self.draw, self.draw.random()
        if kind < 0.50:
            place = draw.choice((0, 1, 3, 4, 5, 6, 7, 8, 9))
            r[place] = self._slip(r[place])
        elif kind < 0.72:
            r[draw.choice((0, 2, 3, 4, 5, 8, 9))] = ""
        elif kind < 0.78:
            r[0] = draw.choice(self.pet.get(r[0], [r[0]]))
        elif kind < 0.82:
            r[0], r[1] = r[1], r[0]
        elif kind < 0.86 and len(r[3]) == 8:
            r[3] = r[3][:4] + r[3][6:] + r[3][4:6]
        elif kind < 0.93:
            town, code = draw.choice(self.town)
            r[4:8] = [str(draw.randrange(1, 200)), draw.choice(self.street), town, code]
        else:
            r[8] = f"{draw.randrange(10**9, 10**10)}"

    def _slip(self, word: str) -> str:
        if len(word) < 2:
            return word
        draw, at = self.draw, self.draw.randrange(len(word) - 1)
        new = draw.choice("0123456789" if word[at].isdigit() else LETTERS)
        return draw.choice((
            word[:at] + new + word[at:], word[:at] + word[at + 1 :], word[:at] + new + word[at + 1 :],
            word[:at] + word[at + 1] + word[at] + word[at + 2 :],
        ))  # fmt: skip

    def records(self, n: int) -> Iterator[list[str]]:
        """n records in random order: rec_id tells the person."""
        people = self.people(round(n * SINGLE))
        rows = [[f"rec-{i}-org", *person] for i, person in enumerate(people)]
        again = self.draw.choices(range(len(people)), k=n - len(people))
        rows += [[f"rec-{i}-dup-{place}", *self.spoilt(people[i])] for place, i in enumerate(again)]
        self.draw.shuffle(rows)
        yield from rows


def write_people(to: Path, n: int, seed: int = 1) -> None:
    """A CSV file of n records."""
    with to.open("w", encoding="utf-8", newline="") as out:
        writer = csv.writer(out)
        writer.writerow(COLUMNS)
        writer.writerows(People(n, seed).records(n))


def rightness(clusters: Path) -> tuple[float, float, float]:
    """Precision, recall and F1 of pairs; the truth is in rec_id."""
    by_person: dict[str, int] = defaultdict(int)
    by_cluster: dict[str, int] = defaultdict(int)
    by_both: dict[tuple[str, str], int] = defaultdict(int)
    with clusters.open(encoding="utf-8", newline="") as lines:
        for row in csv.DictReader(lines):
            person = row["rec_id"].split("-")[1]
            by_person[person] += 1
            by_cluster[row["cluster_id"]] += 1
            by_both[person, row["cluster_id"]] += 1
    true, found, both = (sum(n * (n - 1) // 2 for n in by.values()) for by in (by_person, by_cluster, by_both))
    precision, recall = both / max(found, 1), both / max(true, 1)
    return precision, recall, 2 * precision * recall / max(precision + recall, 1e-9)


def watched(process: subprocess.Popen[bytes], seen: list[int], used: dict[int, int]) -> None:
    """Keep the largest sum of resident memory of a process and all below it, and the CPU ticks of each."""
    page = os.sysconf("SC_PAGE_SIZE")
    while process.poll() is None:
        parents, pages, ticks = {}, {}, {}
        for folder in Path("/proc").iterdir():
            if folder.name.isdigit():
                try:
                    stat = (folder / "stat").read_text().rpartition(")")[2].split()
                    pid = int(folder.name)
                    parents[pid], pages[pid], ticks[pid] = int(stat[1]), int(stat[21]), int(stat[11]) + int(stat[12])
                except OSError:
                    continue
        below = {process.pid}
        while more := {p for p, parent in parents.items() if parent in below} - below:
            below |= more
        seen[0] = max(seen[0], page * sum(pages.get(p, 0) for p in below))
        used |= {p: ticks.get(p, 0) for p in below}
        time.sleep(0.2)


def timed(n: int, cores: int, work: Path) -> tuple[float, float, float, tuple[float, float, float]]:
    """Seconds, CPU seconds, peak GB and rightness of one size."""
    data, out, conf = work / f"people-{n}.csv", work / f"clusters-{n}.csv", work / "conf"
    write_people(data, n)
    (conf / "spark").mkdir(parents=True, exist_ok=True)
    local = (ROOT / "conf" / "spark" / "local.conf").read_text(encoding="utf-8")
    (conf / "spark" / "local.conf").write_text(local.replace("local[*]", f"local[{cores}]"))
    command = [sys.executable, "-m", "medlake", "link", "--csv", str(data), "--key", "rec_id", "--export", str(out)]
    seen, ticks, start = [0], dict[int, int](), time.perf_counter()
    process = subprocess.Popen([*command, "--conf", str(conf)])
    watch = threading.Thread(target=watched, args=(process, seen, ticks))
    watch.start()
    if process.wait():
        raise SystemExit(f"medlake link ended with {process.returncode}")
    seconds = time.perf_counter() - start
    watch.join()
    return seconds, sum(ticks.values()) / os.sysconf("SC_CLK_TCK"), seen[0] / 1e9, rightness(out)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.linkage", description="Prints seconds, memory and F1.")
    parser.add_argument("--sizes", type=int, nargs="+", default=[100_000, 300_000, 1_000_000])
    parser.add_argument("--cores", type=int, default=2)
    chosen = parser.parse_args()
    head = ("records", "seconds", "CPU seconds", "records a second", "peak GB", "precision", "recall", "F1")
    lines = [f"| {' | '.join(head)} |", "|" + "---:|" * len(head)]
    for n in chosen.sizes:
        with tempfile.TemporaryDirectory(prefix="linkage-") as work:
            seconds, cpu, peak, right = timed(n, chosen.cores, Path(work))
        figures = " | ".join(f"{figure:.4f}" for figure in right)
        lines.append(f"| {n:,} | {seconds:,.0f} | {cpu:,.0f} | {n / seconds:,.0f} | {peak:.1f} | {figures} |")
        print("\n".join(lines), flush=True)


if __name__ == "__main__":
    main()
