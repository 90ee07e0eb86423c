"""spark-submit door of the step `train`: the options of `medlake train`, its exit codes."""

import sys

from medlake.submit import submitted

if __name__ == "__main__":
    sys.exit(submitted("train"))
