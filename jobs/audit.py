"""spark-submit door of the step `audit`: the options of `medlake audit`, its exit codes."""

import sys

from medlake.submit import submitted

if __name__ == "__main__":
    sys.exit(submitted("audit"))
