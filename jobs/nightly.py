"""The night by spark-submit: runs conf/nightly.toml in this one application; options of `medlake night`."""

import sys

from medlake.submit import submitted

if __name__ == "__main__":
    sys.exit(submitted("night"))
