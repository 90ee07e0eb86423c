"""spark-submit door of the step `build`: the options of `medlake build`, its exit codes."""

import sys

from medlake.submit import submitted

if __name__ == "__main__":
    sys.exit(submitted("build"))
