"""FrequentItemsets finds what brute force finds, however the baskets lie and whatever is asked."""

from __future__ import annotations

import pytest
from brute_force import baskets_of_chance, itemsets
from pyspark.ml import Pipeline, PipelineModel
from pyspark.sql import DataFrame, SparkSession

from medlake.grammar.errors import ConfigError
from medlake.ml import FrequentItemsets, FrequentItemsetsModel, counting
from tables import assert_rows, rows

SETS = {
    "chance": (baskets_of_chance(60, 8, 0.35, 3), 0.08),
    "long baskets": (baskets_of_chance(40, 9, 0.8, 5), 0.4),
    "rare items": (baskets_of_chance(200, 12, 0.06, 7), 0.01),
    "one basket": ([["a", "b", "c"]], 1.0),
    "repeats, nulls, nothing": ([["a", "a", None], ["b", None, "a"], [], ["b", "a", "b"], [None]], 0.2),
    "names that sort apart": ([["Z", "a"], ["é", "Z", "a"], ["é", "ｚ", "𝒜"], ["a", "é", "𝒜", "Z"]], 0.5),
}


def frame(spark: SparkSession, baskets: list[list[str]], partitions: int = 1) -> DataFrame:
    return spark.createDataFrame([(b,) for b in baskets], "items array<string>").repartition(partitions)


def found(model: FrequentItemsetsModel) -> dict[tuple[str, ...], int]:
    told = [(tuple(r["items"]), r["freq"]) for r in model.itemsets.collect()]
    assert len(told) == len(dict(told)), "an itemset stands twice"
    return dict(told)


@pytest.mark.parametrize("name", SETS)
def test_itemsets_equal_brute_force(spark, name):
    baskets, support = SETS[name]
    model = FrequentItemsets(minSupport=support).fit(frame(spark, baskets))
    assert model.nBaskets == len(baskets)
    assert found(model) == itemsets(baskets, support)


@pytest.mark.parametrize(("partitions", "blocks"), [(1, 1), (3, 2), (7, 5)])
def test_blocks_and_partitions_change_nothing(spark, monkeypatch, partitions, blocks):
    """Small blocks make candidates that are frequent in one block alone, and itemsets that one block misses."""
    baskets = baskets_of_chance(150, 9, 0.3, 11)
    monkeypatch.setattr(counting, "_n_blocks", lambda of, least: blocks)
    monkeypatch.setattr(counting.through, "PACK_ENTRIES", 40)
    model = FrequentItemsets(minSupport=0.05).fit(frame(spark, baskets, partitions))
    want = itemsets(baskets, 0.05)
    assert found(model) == want
    assert max(map(len, want)) >= 4


def test_the_second_pass_counts_what_not_every_block_told_of(spark, monkeypatch):
    baskets = baskets_of_chance(150, 9, 0.3, 11)
    monkeypatch.setattr(counting, "_n_blocks", lambda of, least: 5)
    asked = []
    counted = counting._counted
    monkeypatch.setattr(counting, "_counted", lambda *a: asked.append(a[1].count()) or counted(*a))
    FrequentItemsets(minSupport=0.05).fit(frame(spark, baskets))
    assert len(asked) == 1 and asked[0] > 10


@pytest.mark.parametrize("longest", [1, 2, 3])
def test_the_length_is_limited(spark, longest):
    baskets, support = SETS["chance"]
    model = FrequentItemsets(minSupport=support, maxLength=longest).fit(frame(spark, baskets))
    assert found(model) == itemsets(baskets, support, longest)


def test_fp_growth_gives_the_same(spark):
    for name in ("chance", "repeats, nulls, nothing"):
        baskets, support = SETS[name]
        ours = FrequentItemsets(minSupport=support, maxLength=3).fit(frame(spark, baskets))
        theirs = FrequentItemsets(minSupport=support, maxLength=3, method="fpgrowth").fit(frame(spark, baskets))
        assert found(ours) == found(theirs)


@pytest.mark.parametrize("n", [7, 29, 100, 1000, 60_317])
def test_the_least_count_is_the_first_whose_share_is_enough(n):
    from medlake.ml.itemsets import least_count

    for share in (1e-9, 0.003, 0.01, 0.07, 0.1, 1 / 3, 0.29, 0.58, 1.0):
        least = least_count(share, n)
        assert least / n >= share
        assert least == 1 or (least - 1) / n < share
    assert least_count(0.5, 0) == 1


def test_closed_and_maximal_itemsets(spark):
    baskets = frame(spark, [["a", "b", "c"], ["a", "b", "c"], ["a", "b"], ["d"]])
    assert_rows(FrequentItemsets(minSupport=0.25, keep="closed").fit(baskets).itemsets, """
        items     | freq
        [a, b]    | 3
        [a, b, c] | 2
        [d]       | 1
    """)  # fmt: skip
    assert_rows(FrequentItemsets(minSupport=0.25, keep="maximal").fit(baskets).itemsets, """
        items     | freq
        [a, b, c] | 2
        [d]       | 1
    """)  # fmt: skip


def test_closed_and_maximal_equal_brute_force(spark):
    baskets, support = SETS["long baskets"]
    counts = itemsets(baskets, support)
    for keep, beats in (("closed", lambda n, m: m == n), ("maximal", lambda n, m: True)):
        want = {
            a: n
            for a, n in counts.items()
            if not any(set(a) < set(b) and beats(n, m) for b, m in counts.items())
        }
        assert found(FrequentItemsets(minSupport=support, keep=keep).fit(frame(spark, baskets))) == want


def test_a_cap_may_hide_an_itemset_and_never_changes_a_count(spark):
    baskets, support = SETS["chance"]
    want = itemsets(baskets, support)
    have = found(FrequentItemsets(minSupport=support, maxItems=3).fit(frame(spark, baskets)))
    assert 8 < len(have) < len(want)
    assert have.items() <= want.items()
    assert found(FrequentItemsets(minSupport=support, maxItems=9).fit(frame(spark, baskets))) == want


def test_the_cap_keeps_the_rarest_items(spark):
    baskets = [["a", "b", "c"]] * 2 + [["a", "b"]] * 2 + [["a"]] * 2
    have = found(FrequentItemsets(minSupport=0.3, maxItems=2).fit(frame(spark, baskets)))
    # Of a, b, c only the two rarest are searched: {a, c} is hidden, {a, b} is found in the shorter baskets.
    assert have == {("a",): 6, ("b",): 4, ("c",): 2, ("a", "b"): 4, ("b", "c"): 2}


def test_no_baskets_and_empty_baskets(spark):
    assert found(FrequentItemsets().fit(frame(spark, []))) == {}
    model = FrequentItemsets().fit(frame(spark, [[], None, []]))
    assert (found(model), model.nBaskets) == ({}, 3)


def test_too_many_candidates_are_an_error_that_says_what_to_do(spark):
    with pytest.raises(ConfigError, match="More than 100 candidate itemsets: raise minSupport"):
        FrequentItemsets(minSupport=0.1, maxCandidates=100).fit(frame(spark, [[f"i{k}" for k in range(12)]] * 5))
    with pytest.raises(ConfigError, match="More than 3 frequent items"):
        FrequentItemsets(minSupport=0.1, maxCandidates=3).fit(frame(spark, [["a", "b", "c", "d"]]))


def test_wrong_choices_and_columns_are_told_at_once(spark):
    baskets = frame(spark, [["a"]])
    with pytest.raises(ConfigError, match=r"minSupport must be above 0.*method must be one of.*maxItems must be at least 0"):
        FrequentItemsets(minSupport=1.5, method="magic", maxItems=-1).fit(baskets)
    with pytest.raises(ConfigError, match="maxItems needs the method eclat"):
        FrequentItemsets(method="fpgrowth", maxItems=2).fit(baskets)
    with pytest.raises(ConfigError, match="keep must be one of"):
        FrequentItemsets(keep="best").fit(baskets)
    with pytest.raises(ConfigError, match="codes is absent"):
        FrequentItemsets(itemsCol="codes").fit(baskets)
    with pytest.raises(ConfigError, match="items is string"):
        FrequentItemsets().fit(rows(spark, None, "items\na"))


def test_the_model_reduces_baskets_to_frequent_items(spark):
    model = FrequentItemsets(minSupport=0.5).fit(frame(spark, [["a", "b"], ["a", "c"]]))
    given = spark.createDataFrame([(1, ["c", "a", "a"]), (2, [])], "person_id int, items array<string>")
    assert_rows(model.transform(given), """
        person_id | items
        1         | [a, c]
        2         | []
    """)  # fmt: skip


def test_a_pipeline_is_saved_and_loaded(spark, tmp_path):
    baskets, support = SETS["chance"]
    pipeline = Pipeline(stages=[FrequentItemsets(minSupport=support, maxLength=2)])
    pipeline.write().overwrite().save(str(tmp_path / "pipeline"))
    unfitted = Pipeline.load(str(tmp_path / "pipeline"))
    assert unfitted.getStages()[0].getOrDefault("minSupport") == support
    unfitted.fit(frame(spark, baskets)).write().overwrite().save(str(tmp_path / "model"))
    model = PipelineModel.load(str(tmp_path / "model")).stages[0]
    assert isinstance(model, FrequentItemsetsModel)
    assert (found(model), model.nBaskets) == (itemsets(baskets, support, 2), len(baskets))
    assert model.getOrDefault("maxLength") == 2
