"""The Data Quality Dashboard's checks on silver as it is published."""

from __future__ import annotations

from collections import Counter

from medlake.doors.ledger import Counts
from medlake.gate.verdict import FAILED, NOT_APPLICABLE, PASSED, sentence
from medlake.grammar.errors import QualityGateError
from medlake.steps.context import Context
from medlake.steps.gate import PUBLISHED, asked, evaluated, oldest_year, silver_checks, silver_held, write_verdicts

SHOWN = 10  # failures that are told in the log; all stand in ops.dq_check


def run(ctx: Context) -> Counts:
    """Compute every check that silver's promises allow, write ops.dq_check and say what failed.

    Raises:
        QualityGateError: a check that blocks fails on what is published.
    """
    said = asked(ctx.conf)
    tables = {name: ctx.lake.read(f"silver.{name}") for name in silver_held(said)}
    told = evaluated(
        ctx.spark, said, silver_checks(said), tables, tables, as_of=ctx.night.as_of, oldest_year=oldest_year(ctx)
    )
    write_verdicts(ctx, told, PUBLISHED)
    by = Counter(v.status for v in told)
    ctx.say(
        f"quality: {len(told):,} checks of {len(tables)} tables: {by[PASSED]:,} passed, {by[FAILED]:,} failed, "
        f"{by[NOT_APPLICABLE]:,} not applicable"
    )
    failed = sorted((v for v in told if v.status == FAILED and not v.is_by_design), key=lambda v: -v.percent)
    for v in failed[:SHOWN]:
        ctx.say(f"quality: failed: {sentence(v)}")
    stopped = [v for v in told if v.stops]
    if stopped:
        raise QualityGateError("Published tables break checks that block:\n" + "\n".join(
            f"  - {sentence(v)}" for v in stopped
        ))  # fmt: skip
    return Counts()
