"""Whoever is forgotten stands in no table of the vault; after a new key no old id stands there."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest
from pyspark.sql import SparkSession
from tests.nights import conf_of
from tests.tables import assert_rows, filled

from medlake.doors.lake import Lake
from medlake.doors.ledger import Night
from medlake.doors.settings import Conf, load
from medlake.grammar.contract import all_promises
from medlake.privacy.pseudonym import id_from, keyed_hash
from medlake.steps import forget, rekey
from medlake.steps.context import Context, Progress

VAULT = {
    "vault.id_vault": """
        source | person_source_value | own_person_id | person_id
        north  | N-1                 | 1             | 1
        south  | S-1                 | 2             | 1
        north  | N-9                 | 9             | 9
        south  | S-8                 | 8             | 9
    """,
    "vault.identity": """
        source | person_source_value | family_name
        north  | N-1                 | Hidden
        south  | S-1                 | Hidden
        north  | N-9                 | Other
    """,
    "vault.date_offset": """
        person_id | shift_days
        1         | 5
        2         | 6
        9         | 7
    """,
    "vault.person_link": """
        left_source | left_key | right_source | right_key
        north       | N-1      | south        | S-1
        north       | N-9      | south        | S-8
    """,
    "vault.patient_tally": """
        table           | source | patient_source | person_source_value | rule
        silver.note     | notes  | north          | N-1                 | a
        silver.note     | notes  | north          | N-9                 | a
    """,
    "vault.link_record": """
        source | person_source_value
        north  | N-1
        south  | S-1
        north  | N-9
    """,
    "vault.link_score": """
        left_source | left_key | right_source | right_key
        north       | N-1      | north        | N-9
        north       | N-9      | south        | S-1
        north       | N-9      | south        | S-8
    """,
    "vault.link_review": """
        left_source | left_key | right_source | right_key | reason
        north       | N-9      | south        | S-1       | a word about both
        north       | N-9      | south        | S-8       | null
    """,
    "vault.link_event": """
        registered_batch | person_id | to_person_id | kind
        1                | 2         | 1            | merge
        1                | 9         | 1            | split
        2                | 8         | 9            | merge
    """,
}  # fmt: skip
NAMELESS = {"vault.forgotten", "vault.link_model", "vault.uid_map"}  # hashes; numbers of no one; by object, not by person


@pytest.fixture
def ctx(spark: SparkSession, tmp_path: Path, key_file: Path) -> Context:
    lake = Lake(spark, tmp_path / "lake")
    for name, text in VAULT.items():
        lake.merge(name, filled(spark, name, text))
    conf = Conf(conf_of(tmp_path / "conf"))
    return Context(spark, lake, load(conf, "local", lake=tmp_path / "lake"), conf, Night(3, date(2024, 5, 6)), bytes(32), Progress())


def test_every_table_of_the_vault_is_here() -> None:
    assert {n for n in all_promises() if n.startswith("vault.")} == {*VAULT, *NAMELESS}


def test_a_person_goes_from_every_table_at_either_end(ctx: Context) -> None:
    ctx.extra = {"source": "south", "key": "S-1"}
    forget.run(ctx)
    left = {
        "vault.id_vault": "person_source_value\nN-9\nS-8",
        "vault.identity": "person_source_value\nN-9",
        "vault.date_offset": "person_id\n9",
        "vault.person_link": "left_key | right_key\nN-9 | S-8",
        "vault.patient_tally": "person_source_value\nN-9",
        "vault.link_record": "person_source_value\nN-9",
        "vault.link_score": "left_key | right_key\nN-9 | S-8",
        "vault.link_review": "left_key | right_key\nN-9 | S-8",
        "vault.link_event": "person_id | to_person_id\n8 | 9",
    }
    for name, text in left.items():
        assert_rows(ctx.lake.read(name), text)
    assert ctx.lake.read("vault.forgotten").count() == 2


def test_the_history_of_merges_is_told_with_the_new_ids(ctx: Context) -> None:
    rekey.run(ctx)
    vault = ctx.lake.read("vault.id_vault")
    made = vault.withColumn("want", id_from(keyed_hash(ctx.key, vault["source"], vault["person_source_value"])))
    assert made.where("own_person_id != want").count() == 0
    own, person = ({r["person_source_value"]: r[name] for r in vault.collect()} for name in ("own_person_id", "person_id"))
    assert person["N-1"] == person["S-1"] == min(own["N-1"], own["S-1"])
    assert person["N-9"] == person["S-8"] == min(own["N-9"], own["S-8"])
    assert len({*own.values(), 1, 2, 9, 8}) == 8
    one, nine = person["N-1"], person["N-9"]
    two, eight = max(own["N-1"], own["S-1"]), max(own["N-9"], own["S-8"])
    assert_rows(ctx.lake.read("vault.link_event"), f"""
        registered_batch | person_id | to_person_id | kind
        1                | {two}     | {one}        | merge
        1                | {nine}    | {one}        | split
        2                | {eight}   | {nine}       | merge
    """)  # fmt: skip
