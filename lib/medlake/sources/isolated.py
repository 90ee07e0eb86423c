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
from collections.abc import Callable
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from types import TracebackType
from typing import Any

from medlake.sources.reading import Refused

TIME_LIMIT_S = 20.0  # one file; no file of a hospital needs as long
MEMORY_LIMIT_BYTES = 2 * 1024**3  # beyond what the process holds when it starts

Ask = Callable[[str], dict[str, Any]]


class Isolated:
    """Calls `ask` on one path after another in a child; raises what it refused, or why there is no answer."""

    def __init__(
        self, ask: Ask, *, time_limit_s: float = TIME_LIMIT_S, memory_limit_bytes: int = MEMORY_LIMIT_BYTES
    ) -> None:
        self.ask, self.time_limit_s, self.memory_limit_bytes = ask, time_limit_s, memory_limit_bytes
        self._connection: Connection | None = None

    def __enter__(self) -> Isolated:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()

    def __call__(self, path: str) -> dict[str, Any]:
        """The answer for one path.

        Raises:
            Refused: by `ask`, or `file_unreadable` where the child died or ran out of time or memory.
        """
        connection = self._connection or self._start()
        code, detail = "file_unreadable", f"No answer within {self.time_limit_s:.0f} s."
        try:
            connection.send(path)
            if connection.poll(self.time_limit_s):
                answer, refusal = connection.recv()
                if refusal is not None:
                    raise Refused(*refusal)
                return dict(answer)
        except (EOFError, OSError):
            detail = "The decoder died on it."
        self._stop()
        raise Refused(code, detail)

    def _start(self) -> Connection:
        # A fork keeps the imports and the sys.path that spark-submit has set up.
        context = get_context("fork")
        here, there = context.Pipe()
        args = (there, here, self.ask, self.memory_limit_bytes)
        self._child = context.Process(target=_serve, args=args, daemon=True)
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


def _serve(connection: Connection, parent_end: Connection, ask: Ask, memory_limit_bytes: int) -> None:
    """Answer until the other end is closed, as it is when the parent dies."""
    parent_end.close()
    _limit(memory_limit_bytes)
    while True:
        try:
            path = connection.recv()
        except EOFError:
            return
        try:
            connection.send((ask(path), None))
        except Refused as fault:
            connection.send((None, (fault.code, fault.detail)))
        except MemoryError:
            connection.send((None, ("file_unreadable", "It needs more memory than a file may take.")))
        except Exception as fault:  # its message may quote the file
            connection.send((None, ("file_unreadable", f"The file cannot be read ({type(fault).__name__}).")))


def _limit(memory_limit_bytes: int) -> None:
    """No words of decoders in a log (they quote headers), bounded memory where the system can."""
    faulthandler.disable()
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):
        os.dup2(nowhere, stream)
    logging.disable(logging.CRITICAL)
    if sys.platform == "linux":
        held = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        with contextlib.suppress(ValueError, OSError):  # a stricter limit holds already
            resource.setrlimit(resource.RLIMIT_AS, (held + memory_limit_bytes, held + memory_limit_bytes))
