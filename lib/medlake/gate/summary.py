"""Small tables of ops.dq_check for the page: how many checks passed, and which did not."""

from __future__ import annotations

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from medlake.gate.verdict import FAILED, OF_A_VOCABULARY, OF_THE_MODEL, PASSED

MAX_FAILED = 40


def by_table(dq_check: DataFrame, night: int) -> DataFrame:
    """Checks of what is published, by table: table, n_passed, n_failed; without what fails by design."""
    n_of = {f"n_{status}": F.count_if(F.col("status") == status) for status in (PASSED, FAILED)}
    return _told(dq_check, night).groupBy("table").agg(*(n.alias(name) for name, n in n_of.items())).orderBy("table")


def failed(dq_check: DataFrame, night: int) -> DataFrame:
    """Rows of ops.dq_check that failed, the blocking ones first, then the largest share; at most 40."""
    wrong = _told(dq_check, night).where(F.col("status") == FAILED)
    worst_first = F.desc("blocks"), F.desc("percent_violated"), "table", "field", "check", "concept"
    return wrong.orderBy(*worst_first).limit(MAX_FAILED)


def _told(dq_check: DataFrame, night: int) -> DataFrame:
    is_all = F.col("check").isin(*OF_A_VOCABULARY) & (F.col("n_violated") == F.col("n_denominator"))
    by_design = F.col("check").isin(*OF_THE_MODEL) | ((F.col("status") == FAILED) & is_all)
    is_published = (F.col("night_id") == night) & (F.col("stage") == "published")
    return dq_check.where(is_published & F.col("status").isin(PASSED, FAILED) & ~by_design)
