"""spark-submit door of the step `associate`: the options of `medlake associate`, its exit codes."""

import sys

from medlake.submit import submitted

if __name__ == "__main__":
    sys.exit(submitted("associate"))
