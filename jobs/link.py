"""spark-submit door of the step `link`: the options of `medlake link`, its exit codes."""

import sys

from medlake.submit import submitted

if __name__ == "__main__":
    sys.exit(submitted("link"))
