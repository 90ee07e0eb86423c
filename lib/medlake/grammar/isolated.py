"""A function run in a child process: a damaged file can crash a decoder, fill the memory or never end.

The child has a memory limit and a time limit, writes to no log, and is replaced after a crash, so that one
poison file costs one answer.
"""

from __future__ import annotations

import contextlib
import faulthandler
import logging
import os
import resource
import sys
import warnings
from collections.abc import Callable
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from types import TracebackType
from typing import Any, Generic, TypeVar

Answer = TypeVar("Answer")


class NoAnswerError(Exception):
    """The child died, ran out of time or memory, or erred. The message quotes nothing of the file."""


class Isolated(Generic[Answer]):
    """Calls `work` on one request after another in a child process.

    raises: exceptions of `work` that are verdicts, and pass as they are. `first` is called in this process before
    a child starts: a library's threads must be at rest then, as a fork inherits their locks and not the threads.
    """

    def __init__(
        self, work: Callable[..., Answer], *, time_limit_s: float, memory_limit_bytes: int,
        raises: tuple[type[Exception], ...] = (), first: Callable[[], object] = lambda: None,
    ) -> None:  # fmt: skip
        self.work, self.raises, self.first = work, raises, first
        self.time_limit_s, self.memory_limit_bytes = time_limit_s, memory_limit_bytes
        self._connection: Connection | None = None

    def __enter__(self) -> Isolated[Answer]:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()

    def __call__(self, *request: Any) -> Answer:
        """The answer to one request.

        Raises:
            NoAnswerError: there is none; and what `raises` names.
        """
        connection = self._connection or self._start()
        why = f"No answer within {self.time_limit_s:.0f} s."
        try:
            connection.send(request)
            if connection.poll(self.time_limit_s):
                answer, fault = connection.recv()
                if fault is not None:
                    raise NoAnswerError(fault) if isinstance(fault, str) else fault
                found: Answer = answer
                return found
        except (EOFError, OSError):
            why = "The decoder died on it."
        self._stop()
        raise NoAnswerError(why)

    def _start(self) -> Connection:
        self.first()
        # A fork keeps the imports and the sys.path that spark-submit has set up.
        context = get_context("fork")
        here, there = context.Pipe()
        self._child = context.Process(target=self._serve, args=(there, here), daemon=True)
        self._child.start()
        there.close()
        self._connection = here
        return here

    def _stop(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
            self._child.kill()
            self._child.join()

    def _serve(self, connection: Connection, parent_end: Connection) -> None:
        """Answer until the other end is closed, as it is when the parent dies."""
        parent_end.close()
        _limit(self.memory_limit_bytes)
        while True:
            try:
                request = connection.recv()
            except EOFError:
                return
            try:
                connection.send((self.work(*request), None))
            except self.raises as verdict:
                connection.send((None, verdict))
            except MemoryError:
                connection.send((None, "It needs more memory than a file may take."))
            except Exception as fault:  # its message may quote the file
                connection.send((None, f"The file cannot be read ({type(fault).__name__})."))


def _limit(memory_limit_bytes: int) -> None:
    """No words of decoders in a log (they quote headers), bounded memory where the system can."""
    faulthandler.disable()  # its trace would go to the log of the parent
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):
        os.dup2(nowhere, stream)
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")
    if sys.platform == "linux":
        held = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        with contextlib.suppress(ValueError, OSError):  # a stricter limit holds already
            resource.setrlimit(resource.RLIMIT_AS, (held + memory_limit_bytes, held + memory_limit_bytes))
