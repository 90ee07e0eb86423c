"""spark-submit door of the step `ingest`: the options of `medlake ingest`, its exit codes."""

import sys

from medlake.submit import submitted

if __name__ == "__main__":
    sys.exit(submitted("ingest"))
