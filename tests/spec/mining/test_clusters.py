"""Patient groups: the number is justified, the groups are found, and what sets them apart is right."""

from __future__ import annotations

import numpy as np
import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F
from sklearn.metrics import adjusted_rand_score, silhouette_score

from medlake.mining.clusters import Grouping, adjusted_rand, choose, profile, standardised
from medlake.mining.fitting import patient_groups
from tables import assert_rows, rows


def test_vectors_are_standardised_and_missing_values_are_the_mean(spark):
    matrix = rows(spark, "gold.feature_matrix", """
        person_id | features
        1         | [1.0, 5.0, null]
        2         | [3.0, 5.0, null]
        3         | [null, 5.0, null]
    """)  # fmt: skip
    root = 2**-0.5
    assert_rows(standardised(matrix), f"""
        person_id | vector
        1         | [{-root:.9f}, 0.0, 0.0]
        2         | [{root:.9f}, 0.0, 0.0]
        3         | [0.0, 0.0, 0.0]
    """.replace("0.707106781", f"{root!r}"))  # fmt: skip


@pytest.mark.parametrize("n_groups", [1, 3])
def test_the_adjusted_rand_index_is_that_of_scikit_learn(spark, n_groups):
    draw = np.random.default_rng(1)
    a, b = draw.integers(0, n_groups, 80), draw.integers(0, 3, 80)
    pairs = spark.createDataFrame(
        [(int(x), int(y if y else x)) for x, y in zip(a, b, strict=True)], "a int, b int"
    )
    want = adjusted_rand_score(*zip(*pairs.collect(), strict=True))
    assert adjusted_rand(pairs).first()["adjusted_rand"] == pytest.approx(want, abs=1e-12)


def _tried(k: int, silhouette: float, stability: float, n_smallest: int = 30) -> Grouping:
    return Grouping(k, silhouette, stability, 1.0, n_smallest, 100)


def test_the_clearest_of_the_stable_groupings_is_chosen_and_every_number_has_a_reason():
    tried = [_tried(2, 0.3, 0.9), _tried(3, 0.4, 0.8), _tried(4, 0.6, 0.2), _tried(5, 0.7, 0.9, n_smallest=1)]
    verdicts = choose(tried, min_stability=0.6, min_share=0.05)
    assert [k for k, (is_chosen, _) in verdicts.items() if is_chosen] == [3]
    assert verdicts[3][1].startswith("chosen: the clearest of the stable groupings (silhouette 0.40")
    assert verdicts[2][1].startswith("less clear than 3 groups")
    assert verdicts[4][1].startswith("not stable")
    assert verdicts[5][1].startswith("its smallest group has less than 5%")


def test_without_a_stable_grouping_the_most_stable_one_is_chosen():
    verdicts = choose([_tried(2, 0.5, 0.3), _tried(3, 0.2, 0.4)], min_stability=0.6, min_share=0.05)
    assert verdicts[3] == (True, verdicts[3][1])
    assert "none reaches an agreement of 0.6" in verdicts[3][1]


@pytest.fixture(scope="module")
def three_blobs() -> tuple[np.ndarray, np.ndarray]:
    draw = np.random.default_rng(5)
    truth = np.repeat([0, 1, 2], [50, 40, 30])
    centres = np.array([[0, 0, 0, 0], [6, 6, 0, 0], [0, 6, 6, 0]])
    return truth, centres[truth] + draw.normal(size=(120, 4))


def _groups(spark: SparkSession, x: np.ndarray, mixed: bool) -> tuple[dict, list]:
    frame = spark.createDataFrame(
        [(i + 1, [float(v) for v in row]) for i, row in enumerate(x)],
        "person_id bigint, features array<double>",
    )
    frame = frame.orderBy(F.desc("person_id")).repartition(3) if mixed else frame
    groups = patient_groups(
        standardised(frame), ks=[2, 3, 4], n_components=3, seed=1, n_persons=len(x)
    )
    return groups.verdicts, sorted(tuple(r) for r in groups.assignment.collect()), groups.tried


def test_planted_groups_are_found_justified_and_the_same_in_any_order(spark, three_blobs):
    truth, x = three_blobs
    verdicts, assigned, tried = _groups(spark, x, mixed=False)
    assert [k for k, (is_chosen, _) in verdicts.items() if is_chosen] == [3]
    cluster = [row[1] for row in assigned]
    assert adjusted_rand_score(truth, cluster) > 0.98
    assert [cluster.count(c) for c in (1, 2, 3)] == [50, 40, 30], "1 is the largest group"
    of_three = next(g for g in tried if g.k == 3)
    assert of_three.stability > 0.9
    z = (x - x.mean(axis=0)) / x.std(axis=0, ddof=1)
    # MLlib's silhouette is that of squared distances.
    u, s, _ = np.linalg.svd(z - z.mean(axis=0), full_matrices=False)
    assert of_three.silhouette == pytest.approx(
        silhouette_score((u * s)[:, :3], cluster, metric="sqeuclidean"), abs=1e-6
    )
    assert _groups(spark, x, mixed=True)[1] == assigned


def test_a_profile_compares_a_group_with_all_others(spark):
    matrix = rows(spark, "gold.feature_matrix", """
        person_id | features
        1         | [1.0, 1.0]
        2         | [3.0, 1.0]
        3         | [7.0, 1.0]
        4         | [9.0, null]
    """)  # fmt: skip
    assignment = rows(spark, "gold.cluster_assignment", """
        person_id | cluster
        1         | 1
        2         | 1
        3         | 2
        4         | 2
    """)  # fmt: skip
    named = rows(spark, "gold.feature_def", """
        position | feature
        0        | age
        1        | flat
    """)  # fmt: skip
    effect = 6 / 2**0.5
    assert_rows(profile(matrix, assignment, named), f"""
        cluster | n_persons | feature | mean | overall_mean | effect_size | direction
        1       | 2         | age     | 2.0  | 5.0          | {-effect:.9f} | lower
        2       | 2         | age     | 8.0  | 5.0          | {effect:.9f}  | higher
        1       | 2         | flat    | 1.0  | 1.0          | null        | same
        2       | 2         | flat    | 1.0  | 1.0          | null        | same
    """)  # fmt: skip
