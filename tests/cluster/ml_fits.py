"""Fits of medlake.ml on the master that the first argument names; prints what they find as one line of JSON."""

from __future__ import annotations

import json
import sys
from datetime import date, timedelta
from pathlib import Path
from random import Random

from pyspark.sql import SparkSession
from tests.spec.ml.brute_force import baskets_of_chance

from medlake.doors import session
from medlake.doors.settings import Conf
from medlake.ml import AssociationRules, SequencePatterns

BASKETS, SUPPORT = 3000, 0.02


def events() -> list[tuple[int, str, date]]:
    """Each basket as a record: one item a day, in an order by chance."""
    start = date(2020, 1, 1)
    told = []
    for p, basket in enumerate(baskets_of_chance(300, 6, 0.4, 2)):
        order = Random(p).sample(sorted(basket), len(basket))  # the order of a set is another in each process
        told += [(p, item, start + timedelta(days=3 * at)) for at, item in enumerate(order)]
    return told


def found_by(spark: SparkSession) -> dict[str, list]:
    """All itemsets, rules, patterns and pairs, in an order of their own."""
    baskets = spark.createDataFrame([(b,) for b in baskets_of_chance(BASKETS, 12, 0.2, 4)], "items array<string>")
    rules = AssociationRules(minSupport=SUPPORT, minConfidence=0.5).fit(baskets.repartition(7))
    told = spark.createDataFrame(events(), "person_id int, item string, time date").repartition(5)
    sequences = SequencePatterns(minSupport=0.1, windowDays=9).fit(told)
    return {
        "itemsets": sorted([r["items"], r["freq"]] for r in rules.itemsets.collect()),
        "rules": sorted(map(str, rules.rules.collect())),
        "patterns": sorted(map(str, sequences.patterns.collect())),
        "pairs": sorted(map(str, sequences.pairs.collect())),
    }


def main(master: str) -> None:
    lib = str(Path(__file__).resolve().parents[2] / "lib")
    small = {
        "spark.master": master, "spark.driver.memory": "1g", "spark.executor.memory": "700m",
        "spark.executorEnv.PYTHONPATH": lib, "spark.sql.shuffle.partitions": "4",
    }  # fmt: skip
    spark = session.start("medlake.ml on a cluster", {**Conf().spark("local"), **small})
    found = found_by(spark)
    executors = len(spark.sparkContext._jsc.sc().statusTracker().getExecutorInfos())
    print("RESULT " + json.dumps({**found, "executors": executors}))
    spark.stop()


if __name__ == "__main__":
    main(sys.argv[1])
