"""spark-submit door of the step `quality`: the options of `medlake quality`, its exit codes."""

import sys

from medlake.submit import submitted

if __name__ == "__main__":
    sys.exit(submitted("quality"))
