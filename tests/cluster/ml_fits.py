"""Fits of medlake.ml, the same wherever a session runs; submitted to a cluster, they write what they find as JSON.

spark-submit … tests/cluster/ml_fits.py ASKED.json MODELS_DIR ANSWER.json ROOT_OF_THE_REPOSITORY
"""

from __future__ import annotations

import json
import sys
from datetime import date, timedelta
from pathlib import Path
from random import Random
from typing import Any

from pyspark.sql import SparkSession

from medlake.ml import DBSCAN, AssociationRules, Birch, KMeans, SequencePatterns

BASKETS, SUPPORT = 3000, 0.02
GROUPINGS = {
    "dbscan": DBSCAN(eps=0.1, minSamples=6, maxCellPoints=60),
    "kmeans": KMeans(k=4, seed=1),
    "birch": Birch(threshold=0.8, k=4),
}


def events() -> list[tuple[int, str, date]]:
    """Each basket as a record: one item a day, in an order by chance."""
    from tests.spec.ml.brute_force import baskets_of_chance

    start = date(2020, 1, 1)
    told = []
    for p, basket in enumerate(baskets_of_chance(300, 6, 0.4, 2)):
        order = Random(p).sample(sorted(basket), len(basket))  # the order of a set is another in each process
        told += [(p, item, start + timedelta(days=3 * at)) for at, item in enumerate(order)]
    return told


def found_by(spark: SparkSession) -> dict[str, list[Any]]:
    """All itemsets, rules, patterns and pairs, in an order of their own."""
    from tests.spec.ml.brute_force import baskets_of_chance

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


def groups_by(spark: SparkSession, asked: dict[str, list[list[float]]], models: Path) -> dict[str, list[int]]:
    """The group of each point that is asked for, by name of the estimator; each model is saved and loaded in between."""
    said = {}
    for name, estimator in GROUPINGS.items():
        frame = spark.createDataFrame(list(enumerate(asked[name])), "id bigint, features array<double>").repartition(6)
        model = estimator.fit(frame)
        model.write().overwrite().save((models / name).as_uri())
        labels = type(model).load((models / name).as_uri()).transform(frame)
        said[name] = [r["cluster"] for r in sorted(labels.select("id", "cluster").collect())]
    return said


def main(asked: Path, models: Path, answer: Path, root: str) -> None:
    """Fit everything on the session that spark-submit gives."""
    sys.path.append(root)
    spark = SparkSession.builder.config("spark.scheduler.minRegisteredResourcesRatio", "1.0").getOrCreate()
    executors = len(spark.sparkContext._jsc.sc().statusTracker().getExecutorInfos())
    groups = groups_by(spark, json.loads(asked.read_text()), models)
    answer.write_text(json.dumps({"executors": executors, "groups": groups, "found": found_by(spark)}))


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:4]), sys.argv[4])
