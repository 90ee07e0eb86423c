"""A night on a real cluster: every step of conf/nightly.toml sent by spark-submit, one after the other.

python -m tests.cluster.night --lake DIR --landing DIR [--conf DIR]          (make cluster-night builds the wheel first)
"""

from __future__ import annotations

import argparse
import signal
import sys
import time
from pathlib import Path

from tests.cluster.cluster import Cluster, built_wheel, standalone

from medlake.doors.settings import Conf
from medlake.grammar.errors import EXIT_CODES, InputRefusedError, MedlakeError
from medlake.steps.runner import nightly


def night(cluster: Cluster, wheel: Path, lake: Path, landing: Path, conf: Path | None = None) -> int:
    """Send every step; returns the exit code of the first that failed, else the worst.

    A step that refused a source went on with the others (code 4): it is told, and the night goes on too.
    """
    lake.mkdir(parents=True, exist_ok=True)
    worst = 0
    for plan in nightly(Conf(conf)):
        started = time.monotonic()
        code = cluster.submit(plan.step, arguments(lake, landing, conf), wheel, cluster.folder / f"{plan.step}.log")
        said = EXIT_CODES.get(code, "failed")
        print(f"{plan.step:<10} exit {code} ({said}), {time.monotonic() - started:.1f} s", flush=True)
        worst = max(worst, code)
        if code:
            print(_last_words(cluster.folder / f"{plan.step}.log"), file=sys.stderr, flush=True)
        if code not in (0, InputRefusedError.exit_code):
            return code
    print(f"Report: {lake / 'report' / 'latest.html'}", flush=True)
    return worst


def arguments(lake: Path, landing: Path, conf: Path | None) -> list[str]:
    """The options of one job; paths are absolute, as every worker must find them."""
    said = ["--profile", "cluster", "--lake", str(lake.absolute()), "--landing", str(landing.absolute())]
    return said if conf is None else [*said, "--conf", str(conf.absolute())]


def _last_words(log: Path) -> str:
    """The end of what a step logged, without Spark's own lines."""
    lines = log.read_text(errors="replace").splitlines()
    own = [line for line in lines if line.startswith(("medlake:", "[", "  - ", "Traceback", "Error", "Usage"))]
    return "\n".join((own or lines)[-12:])


def main() -> int:
    """Start the cluster, run the night, stop the cluster."""
    parser = argparse.ArgumentParser(prog="python -m tests.cluster.night", description=__doc__)
    parser.add_argument("--lake", type=Path, required=True, help="folder of the lake")
    parser.add_argument("--landing", type=Path, required=True, help="folder with one sub-folder per source")
    parser.add_argument("--conf", type=Path, help="your own choices and sources")
    chosen = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # unwinds, so that the cluster is stopped as well
    try:
        wheel = built_wheel()
        with standalone() as cluster:
            print(f"Cluster {cluster.master} with two workers; {wheel.name}", flush=True)
            return night(cluster, wheel, chosen.lake, chosen.landing, chosen.conf)
    except (MedlakeError, FileNotFoundError) as fault:
        print(f"cluster-night: {fault}", file=sys.stderr)
        return getattr(fault, "exit_code", 3)


if __name__ == "__main__":
    sys.exit(main())
