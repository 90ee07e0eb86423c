"""What every script in jobs/ does: the command line of the same name, started by spark-submit."""

from __future__ import annotations

import sys

from medlake.cli import app, guarded


def submitted(command: str) -> int:
    """Run `medlake <command>` with this script's arguments; the master and the JARs are spark-submit's."""
    return guarded(lambda: app(args=[command, *sys.argv[1:]], prog_name="medlake"))
