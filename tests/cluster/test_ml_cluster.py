"""Itemsets, rules and sequences are the same on two workers as on one machine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyspark
import pytest
from pyspark.sql import SparkSession
from tests.cluster.ml_fits import BASKETS, SUPPORT, found_by
from tests.spec.ml.brute_force import baskets_of_chance, itemsets

ROOT = Path(__file__).resolve().parents[2]


def found_on(master: str) -> dict[str, Any]:
    env = {n: v for n, v in os.environ.items() if not n.startswith(("PYSPARK", "_PYSPARK", "SPARK"))}
    env |= {"PYTHONPATH": f"{ROOT / 'lib'}{os.pathsep}{ROOT}", "SPARK_HOME": str(Path(pyspark.__file__).parent)}
    env |= {"SPARK_LOCAL_IP": "127.0.0.1", "PYSPARK_PYTHON": sys.executable}
    command = [sys.executable, "-m", "tests.cluster.ml_fits", master]
    ran = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False, timeout=800)
    told = [line for line in ran.stdout.splitlines() if line.startswith("RESULT ")]
    assert told, ran.stderr[-3000:]
    return json.loads(told[-1].removeprefix("RESULT "))


@pytest.mark.slow
def test_two_workers_find_what_one_machine_and_brute_force_find(spark: SparkSession) -> None:
    together = found_on("local-cluster[2,1,900]")
    assert together.pop("executors") == 3, "two workers and the driver"
    assert together == found_by(spark)
    want = itemsets(baskets_of_chance(BASKETS, 12, 0.2, 4), SUPPORT)
    assert {tuple(items): n for items, n in together["itemsets"]} == want
    assert len(want) > 100 and len(together["rules"]) > 5 and len(together["patterns"]) > 5 and together["pairs"]
