"""spark-submit door of the step `features`: the options of `medlake features`, its exit codes."""

import sys

from medlake.submit import submitted

if __name__ == "__main__":
    sys.exit(submitted("features"))
