"""What every step is given: the lake, the choices, the key and the night; nothing is global."""

from __future__ import annotations

import hashlib
import hmac
import json
import sys
import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from graphlib import TopologicalSorter
from importlib.abc import Traversable
from pathlib import Path
from typing import TypeVar

from pyspark.sql import SparkSession

from medlake.doors.lake import Lake
from medlake.doors.ledger import Counts, Night
from medlake.doors.settings import Conf, Settings

T = TypeVar("T")


class Progress:
    """Says what happens: in place on a terminal, one plain line per event in a log, mirrored to a file."""

    def __init__(self, log: Path | None = None) -> None:
        self.log = log
        self.started = time.monotonic()

    def say(self, text: str) -> None:
        """One line; never holds a patient's value."""
        line = f"[{time.monotonic() - self.started:7.1f} s] {text}"
        print(line, file=sys.stderr, flush=True)
        if self.log is not None:
            self.log.parent.mkdir(parents=True, exist_ok=True)
            with self.log.open("a", encoding="utf-8") as out:
                out.write(line + "\n")


@dataclass
class Context:
    """The world of one step."""

    spark: SparkSession
    lake: Lake
    settings: Settings
    conf: Conf
    night: Night
    key: bytes
    progress: Progress
    retired: tuple[bytes, ...] = ()  # keys that were the key once, see settings.retired_keys
    only: str | None = None  # a source, table, layer or model that the command named
    reason: str | None = None  # a reason code that the command named
    to: Path | None = None  # the folder of an export
    vocabulary: Path | None = None  # the vocabulary of an export, where the command named one
    extra: Mapping[str, str | None] = field(default_factory=dict)  # what else a command says of its step
    since: Mapping[str, int] = field(default_factory=dict)  # table → version that this step's last whole run read
    faults: list[str] = field(default_factory=list)  # input refused in this step; others went on
    refusals: dict[tuple[str, str], str] = field(default_factory=dict)  # (source, subject) → the sentence
    lock: threading.Lock = field(default_factory=threading.Lock)  # one writer per table: for shared ones

    def say(self, text: str) -> None:
        """Tell the person who watches."""
        self.progress.say(text)

    def refuse(self, source: str, subject: str, said: str) -> None:
        """Write a source's refusal down once; the step ends as `refused` and the others go on."""
        with self.lock:
            if f"{source}: {said}" not in self.faults:
                self.faults.append(f"{source}: {said}")
            self.refusals[source, subject] = said

    def side_by_side(self, work: Iterable[Callable[[], T]], *, threads: int = 3) -> list[T]:
        """Run independent Spark jobs at once; results in order, the first error is raised."""
        with ThreadPoolExecutor(threads) as pool:
            futures = [pool.submit(call) for call in work]
            return [future.result() for future in futures]

    def as_ready(
        self, work: Mapping[str, Callable[[], object]], after: Mapping[str, Collection[str]], *, threads: int = 3
    ) -> None:
        """Run named Spark jobs at once, each as soon as all those of `work` that it comes `after` are done.

        Of several that may start the one named first does. The first error is raised, once nothing runs any more.
        """
        order = TopologicalSorter({name: [n for n in after.get(name, ()) if n in work] for name in work})
        order.prepare()
        ready: set[str] = set()
        running: dict[Future[object], str] = {}
        with ThreadPoolExecutor(threads) as pool:
            while order.is_active():
                ready |= set(order.get_ready())
                for name in [n for n in work if n in ready][: threads - len(running)]:
                    ready.remove(name)
                    running[pool.submit(work[name])] = name
                done, _ = wait(running, return_when=FIRST_COMPLETED)
                for future in done:
                    future.result()
                    order.done(running.pop(future))


Step = Callable[[Context], Counts]


def conf_digest(conf: Conf, settings: Settings, key: bytes) -> str:
    """A digest of every choice that can change a result: settings, sources, mappings, tasks; and which key it was."""
    said = settings.model_dump(mode="json", exclude={"lake", "landing", "key_file", "profile", "retry"})
    digest = hashlib.sha256(json.dumps(said, sort_keys=True).encode())
    digest.update(hmac.new(key, b"which key", hashlib.sha256).digest())
    for root in conf.roots:
        for text in _texts(root):
            digest.update(text.encode() + b"\0")
    return digest.hexdigest()[:12]


def _texts(root: Traversable, below: str = "") -> Iterator[str]:
    """Path and text of every choice below a conf folder, in order; the folder may lie inside a wheel."""
    for path in sorted(root.iterdir(), key=lambda p: p.name):
        if path.is_dir():
            yield from _texts(path, f"{below}{path.name}/")
        elif path.name.endswith((".toml", ".sql", ".ddl", ".tsv")) and path.name not in {"cluster.toml", "local.toml"}:
            yield f"{below}{path.name}\n{path.read_text(encoding='utf-8')}"
