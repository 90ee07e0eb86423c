"""spark-submit door of the step `evaluate`: the options of `medlake evaluate`, its exit codes."""

import sys

from medlake.submit import submitted

if __name__ == "__main__":
    sys.exit(submitted("evaluate"))
