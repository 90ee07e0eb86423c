"""Two workers of a real cluster find the groups, itemsets, rules and sequences of one process: fits move data between
executors. The code they run comes out of the wheel."""

from __future__ import annotations

import json
from datetime import date, timedelta
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
from pyspark.sql import SparkSession
from sklearn import cluster as one_machine
from sklearn.datasets import make_blobs, make_moons
from sklearn.metrics import adjusted_rand_score
from tests.cluster import ml_fits
from tests.cluster.cluster import WORKERS, Cluster
from tests.spec.ml.brute_force import baskets_of_chance, itemsets

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("hospital")]  # the group that has a cluster
MOONS = make_moons(900, noise=0.06, random_state=1)[0]
BLOBS = make_blobs(900, n_features=3, centers=4, random_state=2)[0]
BASKETS = baskets_of_chance(3000, 12, 0.2, 4)


def events() -> list[tuple[int, str, str]]:
    """Each basket as a record: one item a day, in an order by chance."""
    told = []
    for p, basket in enumerate(baskets_of_chance(300, 6, 0.4, 2)):
        order = Random(p).sample(sorted(basket), len(basket))  # the order of a set is another in each process
        told += [(p, item, (date(2020, 1, 1) + timedelta(days=3 * at)).isoformat()) for at, item in enumerate(order)]
    return told


ASKED = {
    "points": {"dbscan": MOONS.tolist(), "kmeans": BLOBS.tolist(), "birch": BLOBS.tolist()},
    "baskets": [sorted(basket) for basket in BASKETS],
    "events": events(),
}


@pytest.fixture(scope="module")
def said(cluster: Cluster, wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What one application on the cluster says to all that is asked."""
    folder = tmp_path_factory.mktemp("fits")
    asked, answer = folder / "asked.json", folder / "answer.json"
    asked.write_text(json.dumps(ASKED))
    args = [str(asked), str(folder / "models"), str(answer)]
    assert cluster.submit(Path(ml_fits.__file__), args, wheel, folder / "log") == 0, (folder / "log").read_text()[-3000:]
    told: dict[str, Any] = json.loads(answer.read_text())
    assert told["executors"] == WORKERS + 1, "two workers and the driver"
    return told


def test_driver_and_workers_run_the_wheel_with_its_promises(said: dict[str, Any], cluster: Cluster, wheel: Path) -> None:
    assert said["master"] == cluster.master and len(said["code"]) == 5
    for told in said["code"]:
        assert f"/{wheel.stem}.zip/medlake/" in told["file"]  # the wheel's bytes under the name workers accept
        assert int(told["columns"]) > 5


def test_two_workers_give_the_groups_of_one_process(said: dict[str, Any]) -> None:
    found = {name: np.array(label) for name, label in said["groups"].items()}
    want = one_machine.DBSCAN(eps=0.1, min_samples=6).fit(MOONS)
    core = want.core_sample_indices_
    assert ((found["dbscan"] == -1) == (want.labels_ == -1)).all()
    assert adjusted_rand_score(want.labels_[core], found["dbscan"][core]) == 1.0
    groups = one_machine.KMeans(4, n_init=10, random_state=1).fit(BLOBS).labels_
    assert adjusted_rand_score(groups, found["kmeans"]) >= 0.95 and adjusted_rand_score(groups, found["birch"]) >= 0.95


def test_two_workers_find_what_one_machine_and_brute_force_find(spark: SparkSession, said: dict[str, Any]) -> None:
    together = said["found"]
    assert together == ml_fits.found_by(spark, ASKED["baskets"], ASKED["events"])
    want = itemsets(BASKETS, ml_fits.SUPPORT)
    assert {tuple(items): n for items, n in together["itemsets"]} == want
    assert len(want) > 100 and len(together["rules"]) > 5 and len(together["patterns"]) > 5 and together["pairs"]
