"""Patient groups: the number is justified, the groups are found, and what sets them apart is right."""

from __future__ import annotations

import numpy as np
import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F
from scipy.stats import fisher_exact, ttest_ind
from sklearn.metrics import adjusted_rand_score, silhouette_score

from medlake.mining.clusters import Grouping, choose, moved, named_as_before, standardised
from medlake.mining.fitting import patient_groups
from medlake.mining.profiles import codes, profile
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
    assert of_three.stability > 0.9 and of_three.jaccard > 0.9 and of_three.agreement > 0.9
    z = (x - x.mean(axis=0)) / x.std(axis=0, ddof=1)
    # The silhouette is that of squared distances, as MLlib's.
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
    p = ttest_ind([1.0, 3.0], [7.0, 9.0], equal_var=False).pvalue
    assert_rows(profile(matrix, assignment, named), f"""
        cluster | n_persons | feature | mean | overall_mean | effect_size | direction | p_value | q_value
        1       | 2         | age     | 2.0  | 5.0          | {-effect:.9f} | lower   | {p} | {p}
        2       | 2         | age     | 8.0  | 5.0          | {effect:.9f}  | higher  | {p} | {p}
        1       | 2         | flat    | 1.0  | 1.0          | null        | same    | null | null
        2       | 2         | flat    | 1.0  | 1.0          | null        | same    | null | null
    """)  # fmt: skip


def test_groups_keep_their_numbers_by_the_patients_in_common_and_moves_are_told(spark):
    before = rows(spark, "gold.cluster_assignment", """
        person_id | cluster
        1         | 1
        2         | 1
        3         | 1
        4         | 2
        5         | 2
        6         | 3
    """)  # fmt: skip
    now = rows(spark, "gold.cluster_assignment", """
        person_id | cluster
        1         | 2
        2         | 2
        3         | 1
        4         | 1
        5         | 1
        7         | 3
        8         | 3
    """)  # fmt: skip
    named = named_as_before(now, before)
    # 1 and 2 share two patients: 1; the largest took both of 2: 2; nobody of the third was in a group: 4, a new one.
    assert_rows(named, """
        person_id | cluster
        1         | 1
        2         | 1
        3         | 2
        4         | 2
        5         | 2
        7         | 4
        8         | 4
    """)  # fmt: skip
    assert_rows(moved(named, before), """
        cluster_before | cluster | n_persons
        1              | 2       | 1
        3              | 0       | 1
        0              | 4       | 2
    """)  # fmt: skip
    assert moved(named, named).count() == 0
    assert_rows(named_as_before(now, before.limit(0)).groupBy("cluster").count(), """
        cluster | count
        1       | 3
        2       | 2
        3       | 2
    """)  # fmt: skip


def test_codes_over_represented_in_a_group_are_found_with_fishers_test(spark):
    people = [(i, 1 if i <= 20 else 2) for i in range(1, 61)]
    has = {"C//sugar": {*range(1, 16), 21, 22, 23}, "C//common": set(range(1, 61)), "C//rare": {1, 2}}
    baskets = [(i, sorted(item for item, who in has.items() if i in who)) for i, _ in people]
    found = codes(
        spark.createDataFrame(baskets, "person_id bigint, items array<string>"),
        spark.createDataFrame(people, "person_id bigint, cluster int"),
        min_persons=3, min_lift=1.2, max_q=0.05,
    )  # fmt: skip
    p = fisher_exact([[15, 5], [3, 37]], alternative="greater").pvalue
    # Four pairs are tested: sugar and common, in two groups each. p is kept to 15 decimals.
    times = [F.round(F.col(name) / p, 5).alias(name[0]) for name in ("p_value", "q_value")]
    assert_rows(found.select("cluster", "item", "n_persons", "share", "overall_share", "lift", *times), """
        cluster | item     | n_persons | share | overall_share | lift | p   | q
        1       | C//sugar | 15        | 0.75  | 0.3           | 2.5  | 1.0 | 4.0
    """)  # fmt: skip
