"""Linkage by weights: what speaks for a pair, what against it, and that the order of arrival changes nothing."""

from __future__ import annotations

import random
import tomllib
from pathlib import Path

import pytest
from benchmarks.linkage import COLUMNS, People
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from tests.tables import assert_rows, parsed, rows

from medlake.grammar.errors import UsageError
from medlake.link import scoring
from medlake.link.blocking import BLOCK_RULES, MAX_STOPPED, Budgeted, block_sizes, budgeted, oversize, pairs_by_size
from medlake.link.comparison import COMPARISONS
from medlake.link.estimate import estimated, linker_of
from medlake.link.fields import FIELDS, as_fields, name_rows
from medlake.link.model import Model, declared
from medlake.link.review import cut, cut_edges
from medlake.steps.link_table import header_of, joined, roles_of, ruled_pairs
from medlake.steps.linkage import Choices, modelled, scored

ROOT = Path(__file__).resolve().parents[3]
PRIOR = 1e-5
CHOICES = Choices(threshold=4.0, doubt=-2.0, pairs_per_record=20, seed=1)


@pytest.fixture(scope="module")
def names(spark: SparkSession) -> DataFrame:
    said = tomllib.loads((ROOT / "conf" / "link" / "nicknames.toml").read_text(encoding="utf-8"))
    told = name_rows(said["nicknames"], said["names"]["known"])
    return spark.createDataFrame(told, "name string, root string").localCheckpoint()


HOME = {"house_number": "3", "street": "Mill Lane", "city": "Keene", "zip": "03431"}
# Two records a line; what both have in common stands once. `want` is what must come of it.
PAIRS = """
    case                | given_l  | given_r   | family_l | family_r | birth_l    | birth_r    | number_l  | number_r  | phone_l    | phone_r    | home_r | want
    same                | Anna     | anna      | Miller   | Miller   | 1980-01-02 | 1980-01-02 | null      | null      | null       | null       | same   | linked
    typing slips        | Annabel  | Anabel    | Miller   | Miler    | 1980-01-02 | 1980-01-12 | null      | null      | 5551234567 | 5551234567 | same   | linked
    nickname            | Robert   | Bob       | Miller   | Miller   | 1980-01-02 | 1980-01-02 | null      | null      | null       | null       | same   | linked
    day and month       | Anna     | Anna      | Miller   | Miller   | 1980-03-02 | 1980-02-03 | null      | null      | null       | null       | same   | linked
    names swapped       | Anna     | Miller    | Miller   | Anna     | 1980-01-02 | 1980-01-02 | null      | null      | null       | null       | moved  | linked
    married and moved   | Anna     | Anna      | Miller   | Smith    | 1980-01-02 | 1980-01-02 | 123456789 | 123456789 | null       | null       | moved  | linked
    much is missing     | Anna     | Anna      | Miller   | Miller   | null       | 1980-01-02 | null      | null      | 5551234567 | 5551234567 | none   | linked
    twins               | Anna     | Eva       | Miller   | Miller   | 1980-01-02 | 1980-01-02 | null      | null      | 5551234567 | 5551234567 | same   | vetoed
    twins, next numbers | Anna     | Eva       | Miller   | Miller   | 1980-01-02 | 1980-01-02 | 123456781 | 123456782 | 5551234567 | 5551234567 | same   | vetoed
    twins, similar      | Jayden   | Hayden    | Miller   | Miller   | 1980-01-02 | 1980-01-02 | null      | null      | 5551234567 | 5551234567 | same   | vetoed
    father and son      | John     | John      | Miller   | Miller   | 1951-07-15 | 1980-01-02 | null      | null      | 5551234567 | 5551234567 | same   | vetoed
    same birthday       | John     | John      | Miller   | Miller   | 1941-10-13 | 1969-10-13 | null      | null      | 5551234567 | 5551234567 | same   | vetoed
    year turned         | Anna     | Anna      | Miller   | Miller   | 1968-01-02 | 1986-01-02 | null      | null      | 5551234567 | 5551234567 | same   | linked
    brother and sister  | Anna     | Karl      | Miller   | Miller   | 1978-11-23 | 1980-01-02 | null      | null      | 5551234567 | 5551234567 | same   | vetoed
    another's number    | Anna     | Karl      | Miller   | Miller   | null       | 1980-01-02 | 123456789 | 123456789 | 5551234567 | 5551234567 | same   | vetoed
    namesakes           | Anna     | Anna      | Miller   | Miller   | 1951-07-15 | 1980-01-02 | null      | null      | null       | null       | moved  | null
    strangers           | Anna     | Karl      | Miller   | Weber    | 1951-07-15 | 1980-01-02 | null      | null      | null       | null       | moved  | null
"""


def people_of(spark: SparkSession, text: str) -> DataFrame:
    """Both records of each line as people, `id` is the case and the side."""
    columns, cells = parsed(text)
    told = []
    for line in cells:
        case = {k: None if v == "null" else v for k, v in zip(columns, line, strict=True)}
        for side in ("l", "r"):
            home = dict.fromkeys(HOME) if side == "r" and case["home_r"] == "none" else dict(HOME)
            if side == "r" and case["home_r"] == "moved":
                home = {"house_number": "88", "street": "Harbour Road", "city": "Dover", "zip": "99820"}
            told.append((
                f"{case['case']}/{side}", case[f"given_{side}"], case[f"family_{side}"], case[f"birth_{side}"],
                case[f"number_{side}"], case[f"phone_{side}"], *home.values(),
            ))  # fmt: skip
    schema = "id string, given_name string, family_name string, birth_date string, national_id string, phone string, "
    return spark.createDataFrame(told, schema + ", ".join(f"{name} string" for name in HOME))


def every_pair(records: DataFrame, case: bool) -> DataFrame:
    """All pairs of records, or only the two of each case."""
    left = records.select(*[F.col(c).alias(f"{c}_l") for c in ("id", *FIELDS)])
    right = records.select(*[F.col(c).alias(f"{c}_r") for c in ("id", *FIELDS)])
    same = F.split("id_l", "/")[0] == F.split("id_r", "/")[0]
    return left.crossJoin(right).where((F.col("id_l") < F.col("id_r")) & (same if case else F.lit(True)))


def test_one_person_is_linked_and_twins_and_family_at_one_address_are_not(spark: SparkSession, names: DataFrame) -> None:
    records = as_fields(people_of(spark, PAIRS), names)
    pairs = scoring.with_weight(scoring.levelled(every_pair(records, case=True)), declared(PRIOR))
    told = scoring.judged(pairs, threshold=4.0, doubt=-2.0).select(F.split("id_l", "/")[0].alias("case"), "decision")
    want = {line[0]: line[-1] for line in parsed(PAIRS)[1]}
    assert {row["case"]: row["decision"] for row in told.collect()} == {k: v for k, v in want.items() if v != "null"}


def test_the_weights_are_those_of_splink(spark: SparkSession, names: DataFrame) -> None:
    records = as_fields(people_of(spark, PAIRS), names).localCheckpoint()
    model = declared(PRIOR)
    ours = scoring.with_weight(scoring.levelled(every_pair(records, case=False)), model)
    have = {(r["id_l"], r["id_r"]): r["match_weight"] for r in ours.select("id_l", "id_r", "match_weight").collect()}
    linker = linker_of(records.withColumnRenamed("id", "unique_id").toArrow(), model, rules=["1=1"])
    want = {
        (r["unique_id_l"], r["unique_id_r"]): r["match_weight"] for r in linker.inference.predict().as_record_list()
    }
    assert len(have) == 561 and have == pytest.approx(want, abs=1e-5)


@pytest.mark.long
def test_splinks_spark_backend_says_the_same(spark: SparkSession, names: DataFrame) -> None:
    from splink import SparkAPI

    records = as_fields(people_of(spark, PAIRS), names).withColumnRenamed("id", "unique_id").localCheckpoint()
    model = declared(PRIOR)
    api = SparkAPI(spark_session=spark, break_lineage_method="persist", register_udfs_automatically=False)
    by_spark = linker_of(records, model, rules=["1=1"], api=api).inference.predict().as_record_list()
    in_memory = linker_of(records.toArrow(), model, rules=["1=1"]).inference.predict().as_record_list()
    spark.catalog.clearCache()
    found = [{(r["unique_id_l"], r["unique_id_r"]): r["match_weight"] for r in told} for told in (by_spark, in_memory)]
    assert len(found[0]) == 561 and found[0] == pytest.approx(found[1], abs=1e-9)


def test_an_explanation_names_each_field_with_its_level(spark: SparkSession, names: DataFrame) -> None:
    records = as_fields(people_of(spark, PAIRS).where("id LIKE 'nickname/%'"), names)
    model = declared(PRIOR)
    pairs = scoring.explained(scoring.with_weight(scoring.levelled(every_pair(records, case=True)), model), model)
    told = pairs.select(F.array_join("explanation", "; ").alias("why")).first()
    assert told["why"] == "given same_name +5.5; family same +8.1; birth same +14.5; place home +15.9"


def test_fields_are_plain(spark: SparkSession, names: DataFrame) -> None:
    people = rows(spark, None, """
        id | given_name   | family_name | birth_date | sex    | house_number | street              | zip   | phone          | national_id
        1  | Björn-Ole 12 | O'Hara      | 3.12.1980  | Male   | null         | 12 Mill Ln, Suite 6 | 03 43 | (555) 123-4567 | 999-10-1234
        2  | null         | null        | 12/31/1980 | weibl. | 7a           | Mill Lane           | null  | 123            | 12
        3  | Bob          | null        | 1980-1-2   | ?      | null         | null                | null  | null           | null
    """)
    assert_rows(as_fields(people, names), """
        id | given    | given_root | given_known | family | birth    | sex  | house | street   | zip  | phone      | national_id
        1  | bjornole | bjorn      | null        | ohara  | 19801203 | m    | 12    | millln   | 0343 | 5551234567 | 999101234
        2  | null     | null       | null        | null   | 19801231 | f    | 7     | milllane | null | null       | null
        3  | bob      | robert     | y           | null   | 19800102 | null | null  | null     | null | null       | null
    """)


def test_a_rule_beyond_its_budget_goes_without_its_largest_blocks() -> None:
    counts = [
        {"rule": 0, "bits": 1, "max_block": 3, "n_pairs": 60, "n_blocks": 30},
        {"rule": 0, "bits": 5, "max_block": 60, "n_pairs": 1_000, "n_blocks": 1},
        {"rule": 0, "bits": 3, "max_block": 9, "n_pairs": 40, "n_blocks": 2},
        {"rule": 1, "bits": 4, "max_block": 20, "n_pairs": 101, "n_blocks": MAX_STOPPED + 1},
    ]
    plan = budgeted(counts, budget=100)
    assert plan[:2] == [Budgeted("national_id", 100, 9, 1_000), Budgeted("phone", 0, 0, 101)]
    assert [rule.rule for rule in plan] == [rule.name for rule in BLOCK_RULES]


def test_a_model_of_other_levels_is_not_used() -> None:
    model = declared(PRIOR)
    assert model.is_of_now
    assert not Model(**{**vars(model), "m": {**model.m, "sex": (1.0,)}}).is_of_now


def generated(spark: SparkSession, names: DataFrame, n: int, seed: int = 3) -> DataFrame:
    roles = ("id", "given_name", "family_name", "sex", "birth_date", "house_number", "street", "city", "zip", "phone", "national_id")
    told = [[cell or None for cell in record] for record in People(n, seed).records(n)]
    assert len(COLUMNS) == len(roles)
    return as_fields(spark.createDataFrame(told, ", ".join(f"{r} string" for r in roles)), names).localCheckpoint()


def test_a_block_that_is_left_out_is_not_compared_by_its_rule(spark: SparkSession, names: DataFrame) -> None:
    people = spark.range(6).select(
        F.col("id").cast("string").alias("id"), F.lit("Anna").alias("given_name"), F.lit("Miller").alias("family_name"),
        F.when(F.col("id") < 2, "a@b.org").alias("email"),
    )  # fmt: skip
    records = as_fields(people, names)
    sizes = block_sizes(records)
    plan = budgeted([row.asDict() for row in pairs_by_size(sizes).collect()], budget=10)
    assert {b.rule: (b.n_pairs, b.n_over) for b in plan if b.n_pairs + b.n_over} == {"email": (1, 0), "names": (0, 15)}
    stopped = tuple(row["block"] for row in oversize(sizes, plan).collect())
    model = Model(**{**vars(declared(PRIOR)), "stopped": stopped})
    compared = scoring.compared(records, records.limit(0), model, key="id")
    assert_rows(compared.select("id_l", "id_r"), """
        id_l | id_r
        0    | 1
    """)


@pytest.mark.long
def test_estimates_hang_on_the_records_not_on_their_order(spark: SparkSession, names: DataFrame) -> None:
    records = generated(spark, names, 800)
    said: list[str] = []
    models = [
        modelled(shuffled, ruled_pairs(shuffled), CHOICES, key="id", say=said.append)
        for shuffled in (records, records.repartition(3).orderBy(F.desc("family")))
    ]
    assert models[0] == models[1] and models[0].model_id == models[1].model_id
    assert set(models[0].estimated) >= {"given", "family", "birth", "place", "national_id"}
    assert Model.from_json(models[0].to_json()) == models[0] and models[0].is_of_now
    for comparison in COMPARISONS:
        if comparison.field in models[0].estimated:
            weights = models[0].weights(comparison)
            assert weights[0] > 0 > weights[-1], comparison.field


def test_too_few_records_keep_the_declared_weights_and_say_so(spark: SparkSession, names: DataFrame) -> None:
    records = generated(spark, names, 60)
    said: list[str] = []
    model = estimated(records, records, declared(PRIOR), key="id", seed=1, say=said.append)
    assert model.m == declared(PRIOR).m and not model.estimated
    assert any("too few pairs agree in birth" in line for line in said)


def test_the_clusters_do_not_hang_on_the_order_of_arrival(spark: SparkSession, names: DataFrame) -> None:
    records = generated(spark, names, 300)
    model = declared(1e-4)
    at_once = scored(records, records.limit(0), model, CHOICES, key="id").where("decision = 'linked'").select("id_l", "id_r")
    want = {frozenset(row) for row in at_once.collect()}
    assert len(want) > 60
    keys = sorted(row["id"] for row in records.select("id").collect())
    for seed in (1, 2):
        random.Random(seed).shuffle(keys)
        batch = spark.createDataFrame([(k, i % 5) for i, k in enumerate(keys)], "id string, batch int")
        arriving = records.join(batch, on="id").localCheckpoint()
        found: DataFrame | None = None
        for number in range(5):
            new, others = arriving.where(F.col("batch") == number), arriving.where(F.col("batch") < number)
            pairs = scored(new, others, model, CHOICES, key="id").where("decision = 'linked'").select("id_l", "id_r")
            found = pairs if found is None else found.unionByName(pairs)
        assert {frozenset(row) for row in found.collect()} == want
    strong, nobody = at_once.withColumn("strength", F.lit(9.0)), at_once.limit(0)
    clusters = joined(records, strong, nobody, rounds=6, say=print).groupBy("cluster_id").agg(F.collect_set("id").alias("ids"))
    persons = [{key.split("-")[1] for key in row["ids"]} for row in clusters.collect()]
    assert all(len(person) == 1 for person in persons)


def test_a_rejected_pair_is_parted_where_its_chain_is_weakest() -> None:
    chain = [(1, 2, 30.0), (2, 3, 5.0), (3, 4, 9.0), (1, 5, 7.0)]
    assert cut_edges(chain, [(1, 4)]) == [(2, 3)]
    assert cut_edges(reversed(chain), [(4, 1)]) == [(2, 3)]
    assert cut_edges([*chain, (1, 3, 1e6)], [(1, 4)]) == [(3, 4)]  # 2-3 stays: both are with 1 by now
    assert cut_edges(chain, [(1, 9)]) == []
    assert cut_edges(chain, [(1, 4)], spared=5.0) == [], "as strong as a rule: no veto undoes it"


def test_only_groups_with_a_rejected_pair_are_cut(spark: SparkSession) -> None:
    edges = rows(spark, None, """
        a | b | strength
        1 | 2 | 30.0
        2 | 3 | 5.0
        7 | 8 | 1.0
    """, a="bigint", b="bigint", strength="double")  # fmt: skip
    labels = rows(spark, None, """
        node | group
        1    | 1
        2    | 1
        3    | 1
        7    | 7
        8    | 7
    """, node="bigint", group="bigint")  # fmt: skip
    rejects = spark.createDataFrame([(1, 3), (1, 7)], "a bigint, b bigint")
    assert_rows(cut(edges, rejects, labels), """
        a | b
        2 | 3
    """)


def test_roles_are_guessed_from_names_and_what_is_said_wins(tmp_path: Path) -> None:
    header = ["rec_id", "Given Name", "surname", "address_1", "d.o.b.", "alias"]
    guessed = {"given_name": "Given Name", "family_name": "surname", "birth_date": "d.o.b.", "street": "address_1"}
    assert roles_of(header, [], "rec_id") == guessed
    assert roles_of(header, ["alias=given_name"], "rec_id") == guessed | {"given_name": "alias"}
    for wrong in ("nothing=given_name", "alias=nickname"):
        with pytest.raises(UsageError, match="--role"):
            roles_of(header, [wrong], "rec_id")
    file = tmp_path / "twice.csv"
    file.write_text("a,a\n1,2\n")
    with pytest.raises(UsageError, match="none twice"):
        header_of(file)


def test_a_record_without_a_given_name_does_not_join_twins(spark: SparkSession) -> None:
    records = spark.createDataFrame([("anna",), ("eva",), ("anna again",), ("nameless",)], "id string")
    pairs = rows(spark, None, """
        id_l       | id_r     | strength
        anna       | anna again | 30.0
        anna       | nameless | 40.0
        eva        | nameless | 20.0
    """, strength="double")  # fmt: skip
    apart = spark.createDataFrame([("anna", "eva")], "id_l string, id_r string")
    assert_rows(joined(records, pairs, apart, rounds=6, say=print), """
        id         | cluster_id
        anna       | anna
        anna again | anna
        nameless   | anna
        eva        | eva
    """)
