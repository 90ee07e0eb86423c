"""The steps by name: those of a night, `export`, `view`, `retry` and `review`.

A step is imported when it runs: a lone `link` needs no models.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from medlake.steps.context import Step

_NAMES = (
    "ingest", "link", "build", "quality", "features", "cluster", "associate",
    "train", "score", "evaluate", "report", "audit", "export", "view", "retry", "review", "forget", "purge", "rekey",
    "risk", "counts", "synthesise",
)  # fmt: skip


def _load(name: str) -> Step:
    step: Step = import_module(f"medlake.steps.{name}").run
    return step


STEPS: dict[str, Callable[[], Step]] = {name: partial(_load, name) for name in _NAMES}
