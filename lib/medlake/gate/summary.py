"""What the page says of a night's rows of ops.dq_check: how many checks passed, and which did not. Python alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from pyspark.sql import Row

from medlake.gate.verdict import FAILED, OF_THE_MODEL, PASSED, fails_by_design

MAX_FAILED = 40


def told(rows: Sequence[Row]) -> list[Row]:
    """Those that passed or failed, without what fails by design and the checks of what silver holds at all."""
    return [r for r in rows if r["status"] in (PASSED, FAILED) and r["check"] not in OF_THE_MODEL and not _by_design(r)]


def _by_design(row: Row) -> bool:
    return row["status"] == FAILED and fails_by_design(row["check"], row["n_violated"], row["n_denominator"])


def by_table(rows: Sequence[Row]) -> list[tuple[str, int, int]]:
    """(table, passed, failed) of `told` rows, by name."""
    n = Counter((row["table"], row["status"]) for row in rows)
    return [(table, n[table, PASSED], n[table, FAILED]) for table in sorted({table for table, _ in n})]


def failed(rows: Sequence[Row]) -> list[Row]:
    """The `told` rows that failed, the blocking ones first, then the largest share; at most 40."""
    wrong = [row for row in rows if row["status"] == FAILED]
    return sorted(wrong, key=_worst_first)[:MAX_FAILED]


def _worst_first(row: Row) -> tuple[object, ...]:
    names = ("table", "field", "check", "concept")
    return (not row["blocks"], -row["percent_violated"], *(row[name] for name in names))
