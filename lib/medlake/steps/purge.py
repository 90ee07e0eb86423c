"""Remove every file of older versions of all tables that may have held a person's rows: they cannot be read again."""

from __future__ import annotations

from medlake.doors.erasure import purge
from medlake.doors.ledger import Counts
from medlake.grammar.contract import all_promises
from medlake.steps.context import Context

PURGED = ("bronze.", "quarantine.", "vault.", "silver.", "gold.")


def run(ctx: Context) -> Counts:
    """Tables one after the other: what their newest version does not need goes."""
    names = [
        n for n in all_promises() if n.startswith(PURGED) and ctx.lake.version(n)
    ]  # a first version has none before
    n = sum(purge(ctx.lake, name) for name in names)
    ctx.say(f"purge: {n:,} files of older versions are removed from {len(names)} tables")
    return Counts()
