"""Fits of medlake.ml, the same wherever a session runs; submitted to a cluster, they write what they find as JSON, and
from where the code came that found it.

spark-submit … tests/cluster/ml_fits.py ASKED.json MODELS_DIR ANSWER.json
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

import medlake
from medlake.grammar.contract import promise
from medlake.ml import DBSCAN, AssociationRules, Birch, KMeans, SequencePatterns

SUPPORT = 0.02
GROUPINGS = {
    "dbscan": DBSCAN(eps=0.1, minSamples=6, maxCellPoints=60),
    "kmeans": KMeans(k=4, seed=1),
    "birch": Birch(threshold=0.8, k=4),
}


def found_by(spark: SparkSession, baskets: list[list[str]], events: list[tuple[int, str, str]]) -> dict[str, list[Any]]:
    """All itemsets, rules, patterns and pairs, in an order of their own."""
    frame = spark.createDataFrame([(b,) for b in baskets], "items array<string>")
    rules = AssociationRules(minSupport=SUPPORT, minConfidence=0.5).fit(frame.repartition(7))
    told = spark.createDataFrame(events, "person_id int, item string, time string").repartition(5)
    sequences = SequencePatterns(minSupport=0.1, windowDays=9).fit(told.withColumn("time", F.to_date("time")))
    return {
        "itemsets": sorted([r["items"], r["freq"]] for r in rules.itemsets.collect()),
        "rules": sorted(map(str, rules.rules.collect())),
        "patterns": sorted(map(str, sequences.patterns.collect())),
        "pairs": sorted(map(str, sequences.pairs.collect())),
    }


def groups_by(spark: SparkSession, points: dict[str, list[list[float]]], models: Path) -> dict[str, list[int]]:
    """The group of each point, by name of the estimator; each model is saved and loaded in between."""
    said = {}
    for name, estimator in GROUPINGS.items():
        frame = spark.createDataFrame(list(enumerate(points[name])), "id bigint, features array<double>").repartition(6)
        model = estimator.fit(frame)
        model.write().overwrite().save((models / name).as_uri())
        labels = type(model).load((models / name).as_uri()).transform(frame)
        said[name] = [r["cluster"] for r in sorted(labels.select("id", "cluster").collect())]
    return said


def code_on_workers(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """file, columns: which medlake a worker runs, and how many columns a promise has there."""
    import medlake
    from medlake.grammar.contract import promise

    for _ in batches:
        said = [medlake.__file__, str(len(promise("silver.person").columns))]
        yield pa.RecordBatch.from_arrays([pa.array([s]) for s in said], names=["file", "columns"])


def main(asked: Path, models: Path, answer: Path) -> None:
    """Fit everything on the session that spark-submit gives."""
    told = json.loads(asked.read_text())
    spark = SparkSession.builder.config("spark.scheduler.minRegisteredResourcesRatio", "1.0").getOrCreate()
    executors = len(spark.sparkContext._jsc.sc().statusTracker().getExecutorInfos())
    driver = {"file": medlake.__file__, "columns": str(len(promise("silver.person").columns))}
    workers = spark.range(0, 4, 1, 4).mapInArrow(code_on_workers, "file string, columns string").collect()
    code = [driver, *(row.asDict() for row in workers)]
    groups = groups_by(spark, told["points"], models)
    found = found_by(spark, told["baskets"], told["events"])
    answer.write_text(json.dumps({"master": spark.sparkContext.master, "executors": executors, "code": code, "groups": groups, "found": found}))


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
