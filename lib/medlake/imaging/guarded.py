"""Decoding in a child process: damaged pixels can crash a decoder, fill the memory or never end.

The child has a memory limit and a time limit, writes to no log, and is replaced after a crash, so that one
poison object costs one result.
"""

from __future__ import annotations

import contextlib
import faulthandler
import logging
import os
import resource
import sys
import warnings
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from types import TracebackType
from typing import NamedTuple

import cv2

from medlake.grammar.errors import MedlakeError
from medlake.imaging.decode import DecodeError, decode, read_object
from medlake.imaging.first_order import first_order
from medlake.imaging.thumbnail import thumbnail

TIME_LIMIT_S = 120.0
MEMORY_LIMIT_BYTES = 3 * 1024**3  # beyond what the process holds when it starts


class Request(NamedTuple):
    """An object to measure: where it lies, which object it must be, and whether a picture may be made."""

    uri: str
    row: int
    sop_instance_uid: str
    with_thumbnail: bool


class Measured(NamedTuple):
    """What was measured: features by name, and a PNG where one was wanted."""

    features: dict[str, float]
    png: bytes | None


FAILED = Measured({"decode_failed": 1.0}, None)


def measure(request: Request) -> Measured:
    """Decode one object once, and measure it.

    Raises:
        MedlakeError: it cannot be read or decoded, or another object now lies there.
    """
    image = decode(read_object(request.uri, request.row))
    if image.sop_instance_uid != request.sop_instance_uid:
        raise DecodeError("another object lies at this place")
    return Measured(first_order(image.pixels), thumbnail(image) if request.with_thumbnail else None)


class Measurer:
    """Measures objects one by one in a child process; `FAILED` for an object that cannot be measured."""

    def __init__(
        self, *, time_limit_s: float = TIME_LIMIT_S, memory_limit_bytes: int = MEMORY_LIMIT_BYTES
    ) -> None:
        self.time_limit_s, self.memory_limit_bytes = time_limit_s, memory_limit_bytes
        self._connection: Connection | None = None

    def __enter__(self) -> Measurer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()

    def __call__(self, request: Request) -> Measured:
        connection = self._connection or self._start()
        try:
            connection.send(request)
            if connection.poll(self.time_limit_s):
                answer: Measured = connection.recv()
                return answer
        except (EOFError, OSError):  # the child died on this object
            pass
        self._stop()
        return FAILED

    def _start(self) -> Connection:
        # A fork keeps the imports and the sys.path that spark-submit has set up.
        context = get_context("fork")
        here, there = context.Pipe()
        self._child = context.Process(target=_serve, args=(there, here, self.memory_limit_bytes), daemon=True)
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


def _serve(connection: Connection, parent_end: Connection, memory_limit_bytes: int) -> None:
    """Answer requests until the other end is closed, as it is when the parent dies."""
    parent_end.close()
    _limit(memory_limit_bytes)
    while True:
        try:
            request = connection.recv()
        except EOFError:
            return
        try:
            answer = measure(request)
        except (MedlakeError, ValueError, MemoryError):
            answer = FAILED
        connection.send(answer)


def _limit(memory_limit_bytes: int) -> None:
    """No words of decoders in a log (they quote headers), one thread, bounded memory where the system can."""
    faulthandler.disable()  # its trace would go to the log of the parent
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):
        os.dup2(nowhere, stream)
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")
    cv2.setNumThreads(1)
    if sys.platform == "linux":
        held = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        with contextlib.suppress(ValueError, OSError):  # a stricter limit holds already
            resource.setrlimit(resource.RLIMIT_AS, (held + memory_limit_bytes, held + memory_limit_bytes))
