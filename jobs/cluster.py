"""spark-submit door of the step `cluster`: the options of `medlake cluster`, its exit codes."""

import sys

from medlake.submit import submitted

if __name__ == "__main__":
    sys.exit(submitted("cluster"))
