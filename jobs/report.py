"""spark-submit door of the step `report`: the options of `medlake report`, its exit codes."""

import sys

from medlake.submit import submitted

if __name__ == "__main__":
    sys.exit(submitted("report"))
