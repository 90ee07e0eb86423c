"""Groups on two workers of a real cluster are the groups of one process: the fits move data between executors."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from sklearn import cluster as one_machine
from sklearn.datasets import make_blobs, make_moons
from sklearn.metrics import adjusted_rand_score
from tests.cluster.cluster import Cluster

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("small nights")]  # the group that has a cluster

JOB = '''
import json, sys
from pathlib import Path
from pyspark.sql import SparkSession
from medlake.ml import DBSCAN, Birch, KMeans

spark = SparkSession.builder.config("spark.scheduler.minRegisteredResourcesRatio", "1.0").getOrCreate()
asked = json.loads(Path(sys.argv[1]).read_text())
said = {}
for name, estimator in {
    "dbscan": DBSCAN(eps=0.1, minSamples=6, maxCellPoints=60),
    "kmeans": KMeans(k=4, seed=1),
    "birch": Birch(threshold=0.8, k=4),
}.items():
    rows = [(i, p) for i, p in enumerate(asked[name])]
    frame = spark.createDataFrame(rows, "id bigint, features array<double>").repartition(6)
    model = estimator.fit(frame)
    model.write().overwrite().save(Path(sys.argv[2]).as_uri() + "/" + name)
    labels = type(model).load(Path(sys.argv[2]).as_uri() + "/" + name).transform(frame)
    said[name] = [r["cluster"] for r in sorted(labels.select("id", "cluster").collect())]
Path(sys.argv[3]).write_text(json.dumps(said))
'''


def test_two_workers_give_the_groups_of_one_process(cluster: Cluster, wheel: Path, tmp_path: Path) -> None:
    moons = make_moons(900, noise=0.06, random_state=1)[0]
    blobs = make_blobs(900, n_features=3, centers=4, random_state=2)[0]
    points = {"dbscan": moons, "kmeans": blobs, "birch": blobs}
    asked, answer, job = tmp_path / "asked.json", tmp_path / "answer.json", tmp_path / "job.py"
    asked.write_text(json.dumps({name: values.tolist() for name, values in points.items()}))
    job.write_text(JOB)
    code = cluster.submit(job, [str(asked), str(tmp_path / "models"), str(answer)], wheel, tmp_path / "log")
    assert code == 0, (tmp_path / "log").read_text()[-3000:]
    said = {name: np.array(label) for name, label in json.loads(answer.read_text()).items()}
    want = one_machine.DBSCAN(eps=0.1, min_samples=6).fit(moons)
    core = want.core_sample_indices_
    assert ((said["dbscan"] == -1) == (want.labels_ == -1)).all()
    assert adjusted_rand_score(want.labels_[core], said["dbscan"][core]) == 1.0
    groups = one_machine.KMeans(4, n_init=10, random_state=1).fit(blobs).labels_
    assert adjusted_rand_score(groups, said["kmeans"]) >= 0.95 and adjusted_rand_score(groups, said["birch"]) >= 0.95
