"""spark-submit door of the step `score`: the options of `medlake score`, its exit codes."""

import sys

from medlake.submit import submitted

if __name__ == "__main__":
    sys.exit(submitted("score"))
