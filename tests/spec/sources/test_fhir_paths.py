"""The catalogue of paths: names alone, each resource once, whatever the partitions, the order and the keys."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyspark.sql import DataFrame, SparkSession
from tests.tables import assert_rows

from medlake.sources.fhir_paths import ELEMENT, MOST_OF_SHAPE, REST, WITHHELD, counted, paths_of, with_reading


def resources(spark: SparkSession, *texts: dict[str, Any] | str | None, kind: str = "Patient", batch: int = 1) -> DataFrame:
    told = [(batch, "north", kind, t if t is None or isinstance(t, str) else json.dumps(t)) for t in texts]
    return spark.createDataFrame(told, "batch int, source string, resource_type string, json string")


def test_each_path_is_counted_once_a_resource_and_says_whether_a_view_reads_it(spark: SparkSession) -> None:
    told = counted(resources(
        spark,
        {"id": "1", "name": [{"family": "A", "given": ["x", "y"]}, {"text": "A"}], "multipleBirthInteger": 2},
        {"id": "2", "name": [{"family": "B"}, {"family": "C"}], "_birthDate": {"extension": [{"url": "u", "valueDecimal": 1.5}]}},
        {"id": "3", "extension": [{"url": "u", "extension": [{"url": "v", "valueString": "s"}]}], "contact": [], "link": {}},
        None,
    ))  # fmt: skip
    shapes = {"Patient": "id string, name array<struct<family:string,given:array<string>>>, extension string", "Other": "contact string"}
    assert_rows(with_reading(told, shapes), """
        resource_type | path                              | n_resources | is_read
        Patient       | id                                | 3           | true
        Patient       | name.family                       | 2           | true
        Patient       | name.given                        | 1           | true
        Patient       | name.text                         | 1           | false
        Patient       | multipleBirthInteger              | 1           | false
        Patient       | _birthDate.extension.url          | 1           | false
        Patient       | _birthDate.extension.valueDecimal | 1           | false
        Patient       | extension.url                     | 1           | true
        Patient       | extension.extension.url           | 1           | true
        Patient       | extension.extension.valueString   | 1           | true
        Patient       | contact                           | 1           | false
        Patient       | link                              | 1           | false
    """)


def test_batches_and_types_are_counted_apart(spark: SparkSession) -> None:
    parts = [resources(spark, {"id": "1"}, {"id": 2.5}, kind=kind, batch=batch) for kind in ("A", "B") for batch in (1, 2)]
    whole = parts[0].unionByName(parts[1]).unionByName(parts[2]).unionByName(parts[3])
    assert_rows(counted(whole), """
        batch | resource_type | path | n_resources
        1     | A             | id   | 2
        2     | A             | id   | 2
        1     | B             | id   | 2
        2     | B             | id   | 2
    """)


HOSTILE = ["O'Hara", "123-45-6789", "a b", "a.b", "a`b", "<x>", "a: STRING, b", "x" * 65, "", "Größe", "__x", "OBJECT<a", "A", "1", "\u0000", "𝔸", "\"", ">"]


def test_a_key_that_is_no_name_of_fhir_is_withheld(spark: SparkSession) -> None:
    told = counted(resources(spark, *[{"id": 1, key: "v", "sub": {key: {"inner": 1}}} for key in HOSTILE]))
    assert_rows(told, f"""
        path                 | n_resources
        id                   | {len(HOSTILE)}
        {WITHHELD}           | {len(HOSTILE)}
        sub.{WITHHELD}.inner | {len(HOSTILE)}
    """)


def test_a_type_that_is_none_is_withheld_and_what_does_not_parse_is_counted(spark: SparkSession) -> None:
    deep = '{"a":' * 3_000 + "1" + "}" * 3_000
    assert_rows(counted(resources(spark, {"id": 1}, deep, kind="John Doe, 1950")), f"""
        resource_type | path   | n_resources
        {WITHHELD}    | id     | 1
        {WITHHELD}    | {REST} | 1
    """)


def test_a_resource_with_endless_names_is_bounded(spark: SparkSession) -> None:
    told = counted(resources(spark, {f"k{n}": 1 for n in range(3 * MOST_OF_SHAPE)}, {"a": 1})).collect()
    assert len(told) == MOST_OF_SHAPE + 2
    assert {r["path"]: r["n_resources"] for r in told}[REST] == 1


@pytest.mark.parametrize(
    ("shape", "paths"),
    [
        ("OBJECT<a: NUMBER>", {"a"}),
        ("OBJECT<a: OBJECT<>>", {"a"}),
        ("OBJECT<a: ARRAY<VOID>>", {"a"}),
        ("OBJECT<a: ARRAY<ARRAY<OBJECT<b: STRING, c: OBJECT<d: BOOLEAN>>>>, e: VARIANT>", {"a.b", "a.c.d", "e"}),
        ("OBJECT<a: OBJECT<b: OBJECT<c: OBJECT<>, d: VOID>>, e: STRING>", {"a.b.c", "a.b.d", "e"}),
        ("OBJECT<array: ARRAY<STRING>, object: OBJECT<string: STRING>>", {"array", "object.string"}),
        ("OBJECT<`x: y<`: STRING, `a``, b`: OBJECT<c: STRING>, z: STRING>", {WITHHELD, f"{WITHHELD}.c", "z"}),
        ("", {REST}),
    ],
)
def test_a_shape_is_taken_apart(shape: str, paths: set[str]) -> None:
    assert paths_of(shape) == paths


def walked(value: Any, above: tuple[str, ...] = ()) -> set[str]:
    """The same by walking the JSON itself."""
    if isinstance(value, list):
        told = [walked(item, above) for item in value]
        return set().union(*told) if told else {".".join(above)}
    if isinstance(value, dict) and value:
        return set().union(*[walked(v, (*above, k if ELEMENT.fullmatch(k) else WITHHELD)) for k, v in value.items()])
    return {".".join(above)}


NAMES = st.sampled_from(["a", "bC", "_d", "valueString", "No", "x y", "`"])
LEAVES = st.none() | st.booleans() | st.integers(-(2**40), 2**40) | st.floats(allow_nan=False, allow_infinity=False, width=32) | st.text(max_size=3)
OBJECTS = st.recursive(st.dictionaries(NAMES, LEAVES, max_size=3), lambda inner: st.dictionaries(NAMES, inner | st.lists(inner, min_size=1, max_size=1), max_size=3), max_leaves=6)


@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(OBJECTS.filter(bool), min_size=1, max_size=12), st.integers(1, 5), st.randoms())
def test_counts_are_those_of_a_walk_and_do_not_depend_on_order_or_partitions(spark: SparkSession, bodies: list[Any], parts: int, random: Any) -> None:
    want = Counter(path for body in bodies for path in walked(body))
    shuffled = random.sample(bodies, len(bodies))
    have = {r["path"]: r["n_resources"] for r in counted(resources(spark, *shuffled).repartition(parts)).collect()}
    assert have == dict(want)
