"""What a night costs after one percent of new data, as a share of the first night: task time from Spark's event log.

`python -m benchmarks.night [COPIES]`: COPIES (default 25) of the samples' two hospitals are taken in and built; then a
quarter as many patients of one more copy as make one percent. Task time is what executors worked, so what is beside on
the machine counts little. Printed for ingest and build, with the records that came in.
"""

from __future__ import annotations

import csv
import json
import os
import re
import shutil
import sys
import tempfile
import time
from datetime import datetime, timedelta
from pathlib import Path

from benchmarks.data import SOUTH, SOUTH_ID, TYPES, _sound_lines, renumbered
from medlake.doors import session
from medlake.doors.settings import Conf, write_key
from medlake.steps.runner import Options, Runner

NATIONAL_ID = re.compile(r"\b(\d{3})-(\d{2})-(\d{4})\b")
BIRTH = re.compile(r"(^|\"birthDate\":\")(\d{4}-\d\d-\d\d|\d\d/\d\d/\d{4})(\"|$)")  # in a resource; a cell alone
STEPS = ("ingest", "link", "build")
OWNERS = {"patients": "ID", "encounters": "PATIENT", "conditions": "PATIENT", "medications": "PATIENT",
          "observations": "PATIENT", "procedures": "PATIENT"}  # fmt: skip


def main(copies: int = 25) -> None:
    """Two nights in a folder of their own; the table of task times goes to standard output."""
    with tempfile.TemporaryDirectory(prefix="medlake-night-") as work:
        home = Path(work)
        (home / "events").mkdir()
        write_key(home / "key")
        os.environ["MEDLAKE_KEY_FILE"] = str(home / "key")
        choices = {"spark.eventLog.enabled": "true", "spark.eventLog.dir": (home / "events").as_uri(),
                   "spark.eventLog.compress": "false", "spark.driver.memory": "6g"}  # fmt: skip
        spark = session.start("night", {**Conf().spark("local"), **choices})
        counts: list[int] = []
        spans: list[tuple[int, str, float, float]] = []
        for n, (first, last, part) in enumerate(((0, copies, 1), (copies, copies + 1, max(1, 100 // copies)))):
            landing = home / f"landing{n}"
            records = deliver(landing, range(first, last), part)
            for step in STEPS:
                began = time.time()
                Runner(Options(lake=home / "lake", landing=landing)).part(step)
                spans.append((n, step, began * 1000, time.time() * 1000))
            print(f"# night {n + 1}: {records:,} records", file=sys.stderr)
            counts.append(records)
        spark.stop()
        report(task_seconds(home / "events", spans), counts)


def deliver(landing: Path, copies: range, part: int) -> int:
    """Copies of both hospitals, of each every `part`-th patient; returns how many records these are."""
    n = 0
    for copy in copies:
        for kind in TYPES:
            lines = [somebody_else(line, copy) for line in _sound_lines(kind) if chosen(json.loads(line), part)]
            lines = [renumbered(line, copy) for line in lines]
            n += write(landing / "north" / f"{kind}.{copy:03d}.ndjson", "\n".join(lines), len(lines))
        for table, owner in OWNERS.items():
            header, rows = south(table)
            place = header.index(owner)
            mine = [r for r in rows if len(r) == len(header) and hash_of(r[place]) % part == 0]
            others = [[somebody_else(v, copy) for v in row] for row in mine] if table == "patients" else mine
            marked = [[v + f"x{copy}" if SOUTH_ID.fullmatch(v) else v for v in row] for row in others]
            text = "\n".join(separator(table).join(quoted(v) for v in row) for row in [header, *marked])
            n += write(landing / "south" / f"{table}{copy}.csv", text, len(marked))
    return n


def somebody_else(text: str, copy: int) -> str:
    """What says who a patient is, said of another one: birth dates so many days later, other national numbers.

    Without it all copies of a patient would be one person, and news of a few would be news of nearly all.
    """
    text = NATIONAL_ID.sub(lambda m: f"{m[1]}-{(int(m[2]) + copy) % 100:02d}-{m[3]}", text)
    return BIRTH.sub(lambda m: f"{m[1]}{_later(m[2], copy)}{m[3]}", text)


def _later(day: str, days: int) -> str:
    form = "%Y-%m-%d" if "-" in day else "%m/%d/%Y"
    try:
        return (datetime.strptime(day, form) + timedelta(days=days)).strftime(form)
    except ValueError:
        return day


def south(table: str) -> tuple[list[str], list[list[str]]]:
    """Header and rows of a table of South Clinic."""
    encoding = "ISO-8859-1" if table == "patients" else "utf-8"
    with (SOUTH / f"{table}.csv").open(encoding=encoding, errors="replace", newline="") as lines:
        header, *rows = list(csv.reader(lines, delimiter=separator(table)))
    return header, rows


def separator(table: str) -> str:
    return ";" if table == "patients" else ","


def quoted(value: str) -> str:
    return '"' + value.replace('"', '""') + '"' if any(c in value for c in ',;"\n') else value


def write(path: Path, text: str, n: int) -> int:
    path.parent.mkdir(parents=True, exist_ok=True)
    encoding = "ISO-8859-1" if path.name.startswith("patients") else "utf-8"
    path.write_text(text + "\n", encoding=encoding, errors="replace")
    return n


def chosen(resource: dict[str, object], part: int) -> bool:
    """Whether a resource is of every `part`-th patient; those of no patient only come whole."""
    said = resource.get("subject") or resource.get("patient") or {}
    reference = dict(said).get("reference", "") if isinstance(said, dict) else ""
    key = resource["id"] if resource["resourceType"] == "Patient" else re.split(r"[/:]", str(reference))[-1]
    return part == 1 or (bool(key) and hash_of(str(key)) % part == 0)


def hash_of(text: str) -> int:
    return sum(text.encode()) * 31


def task_seconds(folder: Path, spans: list[tuple[int, str, float, float]]) -> dict[tuple[int, str], float]:
    """(night, step) → seconds that its tasks ran, from the event log. `spans`: night, step, from, to in ms."""
    found = {(night, step): 0.0 for night, step, _, _ in spans}
    for file in sorted(p for p in folder.rglob("*") if p.is_file() and not p.name.startswith(("appstatus", "."))):
        with file.open(encoding="utf-8") as lines:
            for event in map(json.loads, lines):
                if event["Event"] != "SparkListenerTaskEnd" or not event.get("Task Metrics"):
                    continue
                at = event["Task Info"]["Launch Time"]
                for night, step, began, ended in spans:
                    if began <= at <= ended:
                        found[night, step] += event["Task Metrics"]["Executor Run Time"] / 1000
    return found


def report(told: dict[tuple[int, str], float], records: list[int]) -> None:
    print(f"| step | first night, {records[0]:,} records | second night, {records[1]:,} more | share |")
    print("| --- | --- | --- | --- |")
    rows = [(step, told.get((0, step), 0.0), told.get((1, step), 0.0)) for step in STEPS]
    rows.append(("ingest and build", *[sum(r[i] for r in rows if r[0] != "link") for i in (1, 2)]))
    for name, first, second in rows:
        print(f"| {name} | {first:,.1f} s | {second:,.1f} s | {100 * second / first:.1f} % |")


if __name__ == "__main__":
    shutil.rmtree(Path("spark-warehouse"), ignore_errors=True)
    main(*map(int, sys.argv[1:]))
