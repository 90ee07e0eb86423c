"""What a step came to, told to the orchestrator that started this process, by Dagster Pipes' protocol."""

from __future__ import annotations

import atexit
import os
from collections.abc import Mapping
from functools import cache
from typing import Any

from medlake.grammar.errors import MissingExtraError

MESSAGES = "DAGSTER_PIPES_MESSAGES"  # Dagster says in it where messages go


def tell(said: Mapping[str, Any]) -> None:
    """Send figures of a step, as a custom message of JSON values; nothing where no orchestrator listens.

    Raises:
        MissingExtraError: one listens, and dagster-pipes is not installed.
    """
    if MESSAGES not in os.environ:
        return
    _pipes().report_custom_message(dict(said))


@cache
def _pipes() -> Any:
    """The way to the orchestrator: one for this process, open until it ends."""
    try:
        import dagster_pipes
    except ModuleNotFoundError as fault:
        raise MissingExtraError("dagster", "dagster-pipes") from fault
    pipes = dagster_pipes.open_dagster_pipes()
    atexit.register(pipes.close)
    return pipes
