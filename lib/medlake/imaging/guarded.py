"""Work on untrusted pixels in a child process (`grammar.isolated`): one poison object costs one answer."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, TypeVar

import cv2

from medlake.grammar.isolated import Isolated
from medlake.imaging.decode import DecodeError, decode, read_object
from medlake.imaging.first_order import first_order
from medlake.imaging.thumbnail import thumbnail

TIME_LIMIT_S = 120.0
MEMORY_LIMIT_BYTES = 3 * 1024**3  # beyond what the process holds when it starts

Answer = TypeVar("Answer")


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


def guarded(
    work: Callable[..., Answer], *, time_limit_s: float = TIME_LIMIT_S, memory_limit_bytes: int = MEMORY_LIMIT_BYTES
) -> Isolated[Answer]:
    """`work` on pixels in a child process, on one thread: the cores belong to the other tasks."""
    return Isolated(
        work, time_limit_s=time_limit_s, memory_limit_bytes=memory_limit_bytes, first=lambda: cv2.setNumThreads(1)
    )
