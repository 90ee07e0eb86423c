"""`medlake audit --verify-chain`: whether anybody altered the log of who read the restricted zone. Needs no Spark."""

from __future__ import annotations

from medlake.doors.access import AccessLog
from medlake.doors.commits import CommitBook
from medlake.doors.settings import Conf, load, read_key
from medlake.grammar.errors import QualityGateError
from medlake.steps.runner import Options


def verify(options: Options) -> str:
    """One sentence, once the chain holds.

    Raises:
        QualityGateError: lines were altered, removed, added or moved.
    """
    settings = load(Conf(options.conf), options.profile, lake=options.lake)
    log = AccessLog(settings.lake, lambda: read_key(settings.key_file))
    faults = log.faults(CommitBook(settings.lake).access())
    if faults:
        raise QualityGateError("The access log:\n" + "\n".join(f"  - {fault}" for fault in faults))
    head = log.head()
    return f"The access log holds: {head['n']:,} lines, the last is {head['hash'][:16]}" if head else "No access yet"
