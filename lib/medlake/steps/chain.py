"""Whether anybody altered the access log: in each audit, and by `medlake audit --verify-chain`."""

from __future__ import annotations

from pathlib import Path

from medlake.doors.access import AccessLog
from medlake.doors.commits import CommitBook
from medlake.doors.lake import Lake
from medlake.doors.settings import Conf, load, read_key
from medlake.grammar.errors import QualityGateError


def chain_faults(lake: Lake) -> list[str]:
    """What is wrong with the access log."""
    return lake.access.faults(CommitBook(lake.root).access()) if lake.access is not None else []


def verify(conf: Path | None, lake: Path | None) -> str:
    """One sentence, once the chain holds; needs no Spark.

    Raises:
        QualityGateError: lines were altered, removed, added or moved.
    """
    settings = load(Conf(conf), "local", lake=lake)
    log = AccessLog(settings.lake, lambda: read_key(settings.key_file))
    faults = log.faults(CommitBook(settings.lake).access())
    if faults:
        raise QualityGateError("The access log:\n" + "\n".join(f"  - {fault}" for fault in faults))
    head = log.head()
    return f"The access log holds: {head['n']:,} lines, the last is {head['hash'][:16]}" if head else "No access yet"
