"""spark-submit door of the step `view`: the options of `medlake view`, its exit codes."""

import sys

from medlake.submit import submitted

if __name__ == "__main__":
    sys.exit(submitted("view"))
