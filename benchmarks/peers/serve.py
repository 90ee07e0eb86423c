"""The other end of a contestant: started once, then told by lines of JSON to run. Needs nothing but Python.

A contestant is a script of this folder in an environment of its own. It says when it is ready, and for each
line {"data": folder, "out": folder} that it gets how many seconds the work took and how many records it wrote.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any


def serve(
    start: Callable[[], Any], run: Callable[[Any, Path, Path], None], count: Callable[[Any, Path, Path], int]
) -> None:
    """`start` makes what can be made before the data are known (a JVM); `run` reads `data` and writes `out`.

    `count` says how many records are in `out`: its time is nobody's.
    """
    with os.fdopen(os.dup(1), "w", buffering=1) as answers:
        os.dup2(2, 1)  # what a library prints must not be taken for an answer
        began = time.monotonic()
        state = start()
        print(json.dumps({"ready_s": time.monotonic() - began}), file=answers)
        for line in sys.stdin:
            asked = json.loads(line)
            began = time.monotonic()
            run(state, Path(asked["data"]), Path(asked["out"]))
            seconds = time.monotonic() - began
            records = count(state, Path(asked["data"]), Path(asked["out"]))
            print(json.dumps({"seconds": seconds, "records": records}), file=answers)
