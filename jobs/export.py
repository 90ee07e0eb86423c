"""spark-submit door of the step `export`: the options of `medlake export`, its exit codes."""

import sys

from medlake.submit import submitted

if __name__ == "__main__":
    sys.exit(submitted("export"))
