"""Rows that are made once, although many queries read them."""

from __future__ import annotations

import threading
from collections.abc import Callable

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from medlake.doors.lake import FEW


def settled(rows: DataFrame) -> DataFrame:
    """The rows, computed; of no rows nothing more is planned."""
    made = rows.localCheckpoint()
    is_empty = made._jdf.queryExecution().toRdd().isEmpty()  # of computed rows: a job, and no plan for it
    return made.sparkSession.createDataFrame([], made.schema) if is_empty else made


def few(rows: DataFrame) -> DataFrame:
    """The rows, computed; where they are few, what is joined to them stays where it is."""
    kept = rows.localCheckpoint()
    return F.broadcast(kept) if kept.count() <= FEW else kept


class Once:
    """Rows that are made where they are first asked for, and kept; threads may ask side by side.

    With `settled` for what every table of a build is joined to: to find the files of a Delta table takes a job for each
    query.
    """

    def __init__(self, make: Callable[[], DataFrame]) -> None:
        self._make = make
        self._rows: DataFrame | None = None
        self._lock = threading.Lock()

    def __call__(self) -> DataFrame:
        with self._lock:
            if self._rows is None:
                self._rows = self._make()
            return self._rows
