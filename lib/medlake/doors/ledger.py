"""The ledger: what ran, on which versions of which tables, with which rows; and the lease of the lake.

A step is a row of ops.run once it is finished, an attempt a row of ops.task_attempt. A process that
dies leaves its lease behind; the next run finds it and writes the attempt down as killed.
"""

from __future__ import annotations

import hashlib
import json
import os
import socket
import threading
import time
import uuid
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime
from importlib.abc import Traversable
from importlib.resources import files
from pathlib import Path
from typing import Any

from pyspark.sql import functions as F

from medlake import __version__
from medlake.doors import orchestrator
from medlake.doors.lake import Lake
from medlake.grammar.contract import promise, shipped
from medlake.grammar.errors import BusyError, MedlakeError

HEARTBEAT_SECONDS = 5
LEASE_SECONDS = 30  # a lease without heartbeat for so long is dead (on this host: once its process is gone)
KNOWN_RUNS = 500  # rows of ops.run looked back on: a month of nights
TALLY = ("rows_in", "rows_kept", "rows_quarantined", "rows_merged")  # how tables name the four numbers of Counts
# What an orchestrator hears of a step.
HEARD = ("night_id", "step", "status", "exit_code", "seconds", *TALLY, "rows_changed")


@dataclass(frozen=True)
class Counts:
    """Rows of one step: rows_in = kept + quarantined + merged, always."""

    rows_in: int = 0
    kept: int = 0
    quarantined: int = 0
    merged: int = 0

    def __add__(self, other: Counts) -> Counts:
        return Counts(*(a + b for a, b in zip(asdict(self).values(), asdict(other).values(), strict=True)))

    @classmethod
    def of(cls, sums: Sequence[int | None] | None) -> Counts:
        """From a row of sums in this order; the sums of no rows are null."""
        return cls(*(int(n or 0) for n in sums)) if sums else cls()

    def checked(self, what: str) -> Counts:
        """Itself, once it adds up."""
        if self.rows_in != self.kept + self.quarantined + self.merged:
            raise MedlakeError(
                f"{what}: {self.rows_in} rows in, but {self} does not add up. Nothing may vanish."
            )
        return self


@dataclass(frozen=True)
class Night:
    """A night by number; everything it does counts as of one day."""

    number: int
    as_of: date


def code_version() -> str:
    """The version of the code: the release and a digest of every module, promise and choice shipped."""
    digest = hashlib.sha256()
    for root in (files("medlake"), shipped("schemas"), shipped("conf")):
        for path in _walk(root):
            digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return f"{__version__}+{digest.hexdigest()[:12]}"


def _walk(root: Traversable) -> list[Traversable]:
    found: list[Traversable] = []
    for path in sorted(root.iterdir(), key=lambda p: p.name):
        if path.is_dir() and path.name not in {"__pycache__", "_data"}:
            found += _walk(path)
        elif path.name.endswith((".py", ".toml", ".sql", ".ddl", ".html", ".css")):
            found.append(path)
    return found


class Lease:
    """One writer per lake: a file made atomically, kept alive by a heartbeat."""

    def __init__(self, root: Path) -> None:
        self.path = root / "lease.json"
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._says: dict[str, Any] = {}

    def acquire(self) -> dict[str, Any] | None:
        """Take the lease; returns what a dead holder was doing, if there was one.

        Raises:
            BusyError: somebody alive holds it.
        """
        self.path.parent.mkdir(parents=True, exist_ok=True)
        left = self.read()
        if left is not None:
            if self._alive(left):
                raise BusyError(
                    f"Another run (process {left.get('pid')} on {left.get('host')}) is writing this lake. "
                    "Wait for it to end, then start again."
                )
            self.path.unlink(missing_ok=True)
        self._says = {"pid": os.getpid(), "host": socket.gethostname(), "token": uuid.uuid4().hex}
        try:
            handle = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError as fault:
            raise BusyError(
                "Another run took the lease of this lake just now. Start again when it ended."
            ) from fault
        with os.fdopen(handle, "w") as out:
            json.dump(self._says, out)
        threading.Thread(target=self._beat, daemon=True).start()
        return left

    def note(self, **doing: Any) -> None:
        """Write down what is being done, for whoever finds this lease after a kill."""
        with self._lock:
            self._says = {k: self._says[k] for k in ("pid", "host", "token")} | doing
            scratch = self.path.with_suffix(f".{self._says['token']}")
            scratch.write_text(json.dumps(self._says))
            scratch.replace(self.path)

    def release(self) -> None:
        """Give the lease back; only one's own."""
        self._stop.set()
        with self._lock:
            if (self.read() or {}).get("token") == self._says.get("token"):
                self.path.unlink(missing_ok=True)

    def _beat(self) -> None:
        while not self._stop.wait(HEARTBEAT_SECONDS):
            with self._lock:
                if self.path.exists():
                    os.utime(self.path)

    def read(self) -> dict[str, Any] | None:
        """What the holder says; None where nobody holds it, nothing where it was killed at its first words."""
        try:
            text = self.path.read_text()
        except FileNotFoundError:
            return None
        try:
            return dict(json.loads(text))
        except ValueError:  # killed while writing its first words
            return {}

    def _alive(self, left: dict[str, Any]) -> bool:
        if left.get("host") == socket.gethostname():
            return _runs(int(left.get("pid", 0)))
        return time.time() - self.path.stat().st_mtime < LEASE_SECONDS


def _runs(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, IndexError):
        if Path("/proc").exists():
            return False
        try:
            os.kill(pid, 0)
        except OSError:
            return False
        return True
    return state not in {"Z", "X"}


class Ledger:
    """Reads and writes ops.run and ops.task_attempt."""

    def __init__(self, lake: Lake, steps: list[str], conf_digest: str, seed: int) -> None:
        self.lake, self.steps, self.conf_digest, self.seed = lake, steps, conf_digest, seed
        self.code = code_version()
        self._known: list[dict[str, Any]] | None = None

    def last(self) -> Night | None:
        """The newest night with a finished step."""
        newest = max(self._rows(), key=lambda row: row["night_id"], default=None)
        if newest is None:
            return None
        same = [row["as_of"] for row in self._rows() if row["night_id"] == newest["night_id"]]
        return Night(newest["night_id"], min(same))

    def finished(self, night: Night) -> list[str]:
        """The steps this night has finished in the nightly order, up to the first one it has not."""
        names = {row["step"] for row in self._rows() if row["night_id"] == night.number}
        until = next((i for i, step in enumerate(self.steps) if step not in names), len(self.steps))
        return self.steps[:until]

    def unchanged(self, step: str, as_of: date) -> bool:
        """Whether the step's last run read just what it would read now, with this code and conf.

        Ages are capped by the year a night stands for: a new year is news.
        """
        read = self.since(step, as_of)
        return bool(read) and all(self.lake.version(name) == version for name, version in read.items())

    def since(self, step: str, as_of: date) -> dict[str, int]:
        """Table → version that the step's last whole run read; empty where that run does not stand for today's.

        It does not where it refused something, ran with other code, conf or in another year, or where a table that
        it wrote has another version by now (a run that was killed since, a table put back to an older version).
        """
        row = self._last_row(step)
        if row is None or row["status"] == "refused" or row["as_of"].year != as_of.year:
            return {}
        if row["code_version"] != self.code or row["conf_digest"] != self.conf_digest:
            return {}
        held = json.loads(row["tables_held"])
        if any(self.lake.version(name) != version for name, version in held.items()):
            return {}
        return dict(json.loads(row["tables_read"]))

    def _rows(self) -> list[dict[str, Any]]:
        """The newest run of each step in each of the last nights: read once, then kept up by `wrote`."""
        if self._known is None:
            runs = self.lake.read("ops.run")
            newest = runs.groupBy("night_id", "step").agg(
                F.max_by(F.struct(*runs.columns), "started_at").alias("run")
            )
            found = newest.select("run.*").orderBy(F.desc("night_id")).limit(KNOWN_RUNS).collect()
            self._known = [{**row.asDict(), "started_at": row["started_at"].astimezone(UTC)} for row in found]
            self.lake.take_activity()
        return self._known

    def _last_row(self, step: str) -> dict[str, Any] | None:
        mine = [row for row in self._rows() if row["step"] == step]
        return max(mine, key=lambda row: (row["night_id"], row["started_at"]), default=None)

    def _last(self, column: str, step: str) -> dict[str, int]:
        row = self._last_row(step)
        return dict(json.loads(row[column])) if row else {}

    def wrote(
        self, night: Night, step: str, started: datetime, counts: Counts, status: str, exit_code: int = 0
    ) -> dict[str, Any]:
        """Write a finished step down; its table versions are the lake's activity since the last step.

        An orchestrator that listens hears of it. Returns the row of ops.run; its `rows_changed` are those of silver
        and gold.
        """
        activity = self.lake.take_activity()
        read = {**activity.read, **{t: v for t, v in activity.written.items() if t in activity.read}}
        if status == "unchanged":
            read, activity.held = self._last("tables_read", step), self._last("tables_held", step)
        changed = sum(c.total for t, c in activity.changed.items() if t.startswith(("silver.", "gold.")))
        row = self._append(
            "ops.run",
            night_id=night.number, step=step, status=status, as_of=night.as_of, started_at=started,
            seconds=round((now() - started).total_seconds(), 3), rows_in=counts.rows_in, rows_kept=counts.kept,
            rows_quarantined=counts.quarantined, rows_merged=counts.merged, rows_changed=changed,
            tables_read=json.dumps(read, sort_keys=True),
            tables_written=json.dumps(activity.written, sort_keys=True),
            tables_held=json.dumps(activity.held, sort_keys=True),
            changes=json.dumps({t: asdict(c) for t, c in sorted(activity.changed.items())}),
            seed=self.seed, code_version=self.code, conf_digest=self.conf_digest, exit_code=exit_code,
        )  # fmt: skip
        if self._known is not None:
            self._known.append(row)
        orchestrator.tell({name: row[name] for name in HEARD})
        return row

    def attempted(
        self, night_id: int, step: str, attempt: int, status: str, started: datetime,
        *, ended: datetime | None = None, exit_code: int | None = None, error: str | None = None,
    ) -> None:  # fmt: skip
        """Write an attempt down, however it ended."""
        self._append(
            "ops.task_attempt", night_id=night_id, step=step, attempt=attempt, status=status,
            started_at=started, ended_at=ended, exit_code=exit_code, error=error,
        )  # fmt: skip
        self.lake.take_activity()

    def _append(self, name: str, **said: Any) -> dict[str, Any]:
        row = {"run_id": uuid.uuid4().hex, **said}
        frame = self.lake.spark.createDataFrame(
            [tuple(row[c] for c in promise(name).columns)], promise(name).schema
        )
        self.lake.append(name, frame)
        return row


def now() -> datetime:
    """The clock, in UTC."""
    return datetime.now(UTC)
