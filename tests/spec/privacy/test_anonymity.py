"""k, l and t of a release are what their definitions say; the least generalisation is the least; noise and made-up rows keep their word."""

from __future__ import annotations

import json
import random
import subprocess
from collections import Counter, defaultdict
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from benchmarks.environments import environment
from benchmarks.harness import AbsentError
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from tests.tables import assert_rows, rows

from medlake.grammar.errors import ConfigError
from medlake.privacy.anonymity import combinations, risk
from medlake.privacy.generalise import Node, cheapest, generalised, judged, nodes, told_levels, vagueness, with_levels
from medlake.privacy.hierarchies import Hierarchy, hierarchies
from medlake.privacy.noise import persons_by, with_noise
from medlake.privacy.synthetic import counted, distances, fitted, made_up, nearest
from medlake.steps.synthesise import compared

QUASI, SENSITIVE = ["age", "zip", "sex"], ["disease", "stay_days"]
SAID = {
    "hierarchy": {
        "age": {"columns": ["age"], "kind": "bands", "steps": [10, 20]},
        "zip": {"columns": ["zip"], "kind": "prefix", "steps": [3, 1]},
    }
}


def people(n: int, seed: int = 3) -> list[tuple[int, str, str, str, int]]:
    draw = random.Random(seed)
    zips = ["02138", "02139", "02141", "10001", "10002", "94110"]
    return [(draw.randrange(20, 60), draw.choice(zips), draw.choice("FM"), draw.choice(["flu", "gout", "mumps"]), draw.randrange(1, 9)) for _ in range(n)]


def release(spark: SparkSession, data: list[tuple[int, str, str, str, int]]) -> DataFrame:
    return spark.createDataFrame(data, "age int, zip string, sex string, disease string, stay_days int")


def by_definition(data: list[tuple[int, str, str, str, int]], place: int, *, is_number: bool) -> tuple[int, int, float]:
    """(k, l, t) for one sensitive column, straight from the definitions."""
    classes = defaultdict(list)
    for row in data:
        classes[row[:3]].append(row[place])
    values = sorted({row[place] for row in data})
    overall = [sum(row[place] == v for row in data) / len(data) for v in values]
    worst = 0.0
    for told in classes.values():
        d = np.array([told.count(v) / len(told) for v in values]) - overall
        worst = max(worst, np.abs(np.cumsum(d)).sum() / max(len(values) - 1, 1) if is_number else np.abs(d).sum() / 2)
    return min(map(len, classes.values())), min(len(set(c)) for c in classes.values()), float(worst)


def coarse(data: list[tuple[int, str, str, str, int]]) -> list[tuple[int, str, str, str, int]]:
    return [(a // 20, z[:1], s, d, t) for a, z, s, d, t in data]


def test_k_l_and_t_are_what_their_definitions_say(spark: SparkSession) -> None:
    data = coarse(people(200))
    want = [by_definition(data, 3, is_number=False), by_definition(data, 4, is_number=True)]
    told = combinations(release(spark, data), [*QUASI, *SENSITIVE])
    for columns, (k, l, t) in ((["disease"], want[0]), (["stay_days"], want[1])):  # noqa: E741
        found = risk(told, QUASI, columns).first()
        assert (found["k"], found["l"], found["n_rows"]) == (k, l, 200)
        assert found["t"] == pytest.approx(t, abs=1e-12)
    both = risk(told, QUASI, SENSITIVE).first()
    assert (both["l"], both["t"]) == (min(w[1] for w in want), pytest.approx(max(w[2] for w in want)))
    assert both["n_classes"] == len({row[:3] for row in data})


def test_a_null_is_a_value_and_nobody_is_a_release_too(spark: SparkSession) -> None:
    some = rows(spark, None, """
        age  | sex  | disease
        null | F    | flu
        null | F    | null
        40   | null | gout
    """, age="int")
    assert_rows(risk(combinations(some, ["age", "sex", "disease"]), ["age", "sex"], ["disease"]), """
        n_rows | n_classes | n_unique | k | l | t
        3      | 2         | 1        | 1 | 1 | 0.6666666667
    """)
    assert_rows(risk(combinations(some.limit(0), ["age"]), ["age"]), """
        n_rows | n_classes | n_unique | k    | l    | t
        0      | 0         | 0        | null | null | null
    """)


def value_at(row: tuple[object, ...], node: Node) -> tuple[object, ...]:
    age, zipped, sex = row[:3]
    return (
        [age, age // 10 * 10, age // 20 * 20, "*"][node[0]], [zipped, zipped[:3], zipped[:1], "*"][node[1]], [sex, "*"][node[2]],
    )  # fmt: skip


def test_the_node_of_least_loss_is_found_and_the_release_has_its_k(spark: SparkSession) -> None:
    data, columns = people(150), hierarchies(QUASI, SAID)
    for k, limit in ((5, 0.05), (11, 0.2)):
        losses = {}
        for node in product(range(4), range(4), range(2)):
            small = sum(n for n in Counter(value_at(row, node) for row in data).values() if n < k)
            if small <= limit * len(data):
                losses[node] = vagueness(node, columns) * (1 - small / 150) + small / 150, small
        told = with_levels(combinations(release(spark, data), QUASI), columns).localCheckpoint()

        def judge(some, told=told, k=k):
            return {r["node"]: r["n_small"] for r in judged(told, some, k=k).collect()}

        best = cheapest(columns, 150, judge, max_suppressed=limit, limit=100)
        assert best is not None
        assert (best.loss, best.n_suppressed) == pytest.approx((losses[best.node][0], losses[best.node][1]))
        assert best.loss == pytest.approx(min(loss for loss, _ in losses.values()))
        print(f"k = {k}: {told_levels(columns, best.node)}, {best.n_suppressed} of 150 rows left out, loss {best.loss:.3f}")
    made = generalised(release(spark, data), columns, best.node, k=11)
    after = risk(combinations(made, QUASI), QUASI).first()
    assert after["k"] >= 11
    assert after["n_rows"] == 150 - best.n_suppressed


def test_l_counts_too(spark: SparkSession) -> None:
    data = [(30, "02138", "F", "flu", 1)] * 6 + [(35, "02138", "F", d, 1) for d in ("flu", "gout", "flu", "gout")]
    columns = hierarchies(QUASI, SAID)
    told = with_levels(combinations(release(spark, data), [*QUASI, "disease"]), columns)
    asked = [(0, 0, 0), (1, 0, 0)]
    assert_rows(judged(told, asked, k=4, varied=2, sensitive=["disease"]), """
        node | n_small
        0    | 6
    """)


def test_hierarchies_are_declared_as_data(spark: SparkSession) -> None:
    said = {"hierarchy": {"d": {"columns": ["*_date"], "kind": "date", "steps": ["month", "quarter", "year"]}, "c": {"columns": ["code"], "kind": "map", "steps": [{"a": "x", "b": "x", "c": "y"}]}, **SAID["hierarchy"]}}
    table = rows(spark, None, """
        age | zip   | seen_date  | code | sex
        37  | 02138 | 2024-05-17 | b    | F
    """, age="int", seen_date="date")
    made = hierarchies(["age", "zip", "seen_date", "code", "sex"], said)
    assert [one.levels for one in made] == [4, 4, 5, 3, 2]
    told = table.select(*[F.concat_ws("/", *[one.at(j) for j in range(one.levels)]).alias(one.column) for one in made])
    assert tuple(told.first()) == ("37/30-39/20-39/*", "02138/021/0/*", "2024-05-17/2024-05/2024-Q2/2024/*", "b/x/*", "F/*")


@pytest.mark.parametrize(
    "one",
    [{"kind": "guess"}, {"kind": "bands", "steps": [10, 25]}, {"kind": "prefix", "steps": [3, 3]}, {"kind": "date", "steps": ["year", "month"]},
     {"kind": "map", "steps": [{"a": "x", "b": "x"}, {"a": "p", "b": "q"}]}],
)  # fmt: skip
def test_a_hierarchy_whose_levels_do_not_follow_is_refused(one: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match=r"hierarchy\.odd"):
        hierarchies(["it"], {"hierarchy": {"odd": {"columns": ["it"], **one}}})


def test_too_many_combinations_are_refused() -> None:
    with pytest.raises(ConfigError, match="combinations of levels"):
        nodes([Hierarchy(str(i), "bands", (2, 4, 8)) for i in range(8)], limit=5_000)


@pytest.mark.long
def test_k_l_and_t_equal_pycanons(spark: SparkSession, tmp_path: Path) -> None:
    try:
        python = environment("pycanon", "pycanon==1.3.6")
    except AbsentError as absent:
        pytest.skip(str(absent))
    data = coarse(people(2_000, seed=11))
    release(spark, data).toPandas().to_csv(tmp_path / "release.csv", index=False)
    ask = (
        "import json, sys, pandas as pd; from pycanon import anonymity as a\n"
        f"d = pd.read_csv(sys.argv[1], dtype={{'zip': str}}); q = {QUASI!r}\n"
        "print(json.dumps([[int(a.k_anonymity(d, q)), int(a.l_diversity(d, q, [s])), float(a.t_closeness(d, q, [s]))] for s in ('disease', 'stay_days')]))\n"
    )
    answer = subprocess.run([str(python), "-c", ask, str(tmp_path / "release.csv")], capture_output=True, text=True, check=True)
    told = combinations(release(spark, data), [*QUASI, *SENSITIVE])
    ours = [list(risk(told, QUASI, [s]).select("k", "l", "t").first()) for s in SENSITIVE]
    theirs = json.loads(answer.stdout.splitlines()[-1])
    print(f"\npycanon (k, l, t): {theirs}\nmedlake         : {ours}")
    for mine, want in zip(ours, theirs, strict=True):
        assert mine[:2] == want[:2]
        assert mine[2] == pytest.approx(want[2], abs=1e-9)


def test_noise_is_as_large_as_epsilon_says_and_rare_groups_do_not_show(spark: SparkSession) -> None:
    pytest.importorskip("opendp")
    visits = rows(spark, None, """
        person_id | sex | ward
        1         | F   | A
        1         | F   | A
        1         | F   | B
        2         | F   | A
        3         | M   | A
        null      | M   | A
    """, person_id="bigint")
    counted_once = {r["group"]: r["n"] for r in persons_by(visits, ["sex", "ward"], groups_per_person=1).collect()}
    assert sum(counted_once.values()) == 3, "a person counts in one group"
    both = {r["group"]: r["n"] for r in persons_by(visits, ["sex", "ward"], groups_per_person=2).collect()}
    assert both == {'{"sex":"F","ward":"A"}': 2, '{"sex":"F","ward":"B"}': 1, '{"sex":"M","ward":"A"}': 1}
    truth = {f"g{i}": 1_000 for i in range(300)} | {"rare": 1}
    made = with_noise(truth, epsilon=0.5, delta=1e-6)
    assert set(made.counts) == set(truth) - {"rare"}
    assert (made.epsilon, made.delta) <= (0.5 * (1 + 1e-6), 1e-6)
    noise = np.array([n - 1_000 for n in made.counts.values()])
    assert abs(noise.mean()) < 1.0  # standard deviation 2.8 / √300
    assert 1.9 < noise.std() < 3.9
    for wrong in ({"epsilon": 0.0, "delta": 1e-6}, {"epsilon": 1.0, "delta": 0.5}):
        with pytest.raises(ConfigError):
            with_noise(truth, **wrong)


def test_made_up_rows_are_like_the_real_ones_and_no_copies(spark: SparkSession) -> None:
    draw = np.random.default_rng(7)
    age = draw.integers(20, 90, 3_000)
    pressure = 100 + age * 0.6 + draw.normal(0, 8, 3_000)
    drug = np.where(pressure > 140, "ramipril", np.where(draw.random(3_000) < 0.1, "other drug", "none"))
    data = [(int(a), float(p), str(d), None if i % 10 == 0 else "FM"[i % 2]) for i, (a, p, d) in enumerate(zip(age, pressure, drug, strict=True))]
    whole = spark.createDataFrame(data, "age int, pressure double, drug string, sex string").coalesce(2)
    real, held = whole.limit(2_400).localCheckpoint(), whole.subtract(whole.limit(2_400)).localCheckpoint()
    tree = fitted(real, ["age", "pressure", "drug", "sex"])
    made = made_up(tree, real, n=12_000, seed=5).localCheckpoint()
    assert made.schema == real.schema
    again = made_up(tree, real, n=12_000, seed=5).repartition(3)
    assert made.exceptAll(again).count() == 0, "the same rows from a seed, however they are spread"
    by_column, by_pair = distances(tree, *counted(made, tree.parts))
    report = compared(tree, real, held, made, seed=5)
    print({name: round(value, 4) for name, value in report.items()})
    assert by_column < 0.03
    assert by_pair < 0.25
    parent = {part.name: tree.parts[at].name if at >= 0 else None for part, at in zip(tree.parts, tree.parent, strict=True)}
    assert parent["pressure"] == "age"
    assert parent["drug"] == "pressure", "what hangs together most is kept together"
    high = made.where("drug = 'ramipril'").agg(F.avg("pressure").alias("p")).first()["p"]
    assert high > 140
    assert report["share_equal_to_a_real_row"] == 0.0
    assert report["nearest_real_row_mean"] >= report["nearest_real_row_mean_of_held_out_rows"] - 0.02


def test_the_nearest_row_is_the_one_that_differs_least() -> None:
    among = np.array([[0, 0, 0, 0], [1, 1, 1, 1]])
    assert nearest(np.array([[0, 0, 0, 0], [1, 1, 1, 0], [0, 1, 2, 2]]), among).tolist() == [0.0, 0.25, 0.75]
