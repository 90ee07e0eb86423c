"""Any work on one untrusted object in a child process with limits, as `guarded` measures one."""

from __future__ import annotations

from collections.abc import Callable
from multiprocessing import get_context
from multiprocessing.connection import Connection
from types import TracebackType
from typing import Any

from medlake.grammar.errors import MedlakeError
from medlake.imaging.guarded import MEMORY_LIMIT_BYTES, _limit

TIME_LIMIT_S = 600.0  # many frames searched for writing
FAILED = "pixels_unreadable"


class Worker:
    """Calls `work` in a child process; `FAILED` where the child dies, errs or takes too long."""

    def __init__(self, work: Callable[..., str | None], *, time_limit_s: float = TIME_LIMIT_S) -> None:
        self.work, self.time_limit_s = work, time_limit_s
        self._connection: Connection | None = None

    def __enter__(self) -> Worker:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()

    def __call__(self, *request: Any) -> str | None:
        connection = self._connection or self._start()
        try:
            connection.send(request)
            if connection.poll(self.time_limit_s):
                answer: str | None = connection.recv()
                return answer
        except (EOFError, OSError):  # the child died on this object
            pass
        self._stop()
        return FAILED

    def _start(self) -> Connection:
        context = get_context("fork")  # keeps the imports and the sys.path that spark-submit has set up
        here, there = context.Pipe()
        self._child = context.Process(target=_serve, args=(self.work, there, here), daemon=True)
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


def _serve(work: Callable[..., str | None], connection: Connection, parent_end: Connection) -> None:
    """Answer requests until the other end is closed, as it is when the parent dies."""
    parent_end.close()
    _limit(MEMORY_LIMIT_BYTES)
    while True:
        try:
            request = connection.recv()
        except EOFError:
            return
        try:
            answer = work(*request)
        except (MedlakeError, ValueError, MemoryError, OSError, KeyError, AttributeError, TypeError):
            answer = FAILED  # what it says may quote the header
        connection.send(answer)
