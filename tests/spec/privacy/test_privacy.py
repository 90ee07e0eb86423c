"""Pseudonyms, shifts, scrubbed text, and a search that finds what it should."""

from __future__ import annotations

import gzip
import hmac
from hashlib import sha256
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F
from pyspark.sql import types as T
from tests.tables import rows

from medlake.doors.settings import Conf, read_key, write_key
from medlake.grammar.errors import ConfigError
from medlake.privacy.leak_scan import hits
from medlake.privacy.pseudonym import keyed_hash, mapped_uid
from medlake.privacy.scrub_text import Pattern, deny_lists, replaced, scrubbed
from medlake.privacy.shift_dates import offsets, shifted, year_of_birth

KEY = bytes(range(32))
PATTERNS = [Pattern(n, p["regex"], p["tag"]) for n, p in Conf().toml("scrub.toml")["pattern"].items()]


def test_a_pseudonym_is_the_hmac_of_its_fields(spark: SparkSession) -> None:
    told = spark.createDataFrame([("a", "b")], "x string, y string")
    want = hmac.new(KEY, b'{"x":"a","y":"b"}', sha256).hexdigest()
    assert told.select(keyed_hash(KEY, F.col("x"), F.col("y"))).first()[0] == want


def test_a_mapped_uid_is_a_valid_uid_and_another_key_gives_another(spark: SparkSession) -> None:
    uids = spark.createDataFrame([("1.2.3",), (None,)], "uid string")
    first = [r[0] for r in uids.select(mapped_uid(KEY, F.col("uid"))).collect()]
    other = [r[0] for r in uids.select(mapped_uid(KEY[::-1], F.col("uid"))).collect()]
    assert first[0].startswith("2.25.")
    assert len(first[0]) <= 64
    assert first[0] != other[0]
    assert first[1] is None


def test_dates_of_a_person_move_together_and_intervals_stay(spark: SparkSession) -> None:
    people = spark.range(200).withColumnRenamed("id", "person_id")
    days = [r["shift_days"] for r in offsets(people, key=KEY, max_days=365).collect()]
    assert all(-365 <= d <= -1 for d in days)
    assert len(set(days)) > 50
    told = spark.createDataFrame([("2024-03-01 10:20:30", -60)], "at string, days int").select(F.to_timestamp("at").alias("at"), "days")
    assert str(told.select(shifted(F.col("at"), T.TimestampType(), F.col("days")).cast("string")).first()[0]) == "2024-01-01 10:20:30"


def test_nobody_looks_older_than_ninety(spark: SparkSession) -> None:
    told = rows(spark, None, """
        born       | days | as_of
        1900-05-05 | -10  | 2024-06-01
        1990-01-05 | -10  | 2024-06-01
    """, born="date", days="int", as_of="date")
    years = [r[0] for r in told.select(year_of_birth(F.col("born"), F.col("days"), F.col("as_of"))).collect()]
    assert years == [1934, 1989]


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("Seen ANNA  Meyer on 2020-03-04.", "Seen [NAME]  [NAME] on [DATE]."),
        ("born 05/06/1980, MRN: 44-1234", "born [ID], MRN: [ID]"),
        ("call 555-123-4567 or (555) 999-8888", "call [ID] or [PHONE]"),
        ("lives at 12 Elm Street, Oldtown", "lives at [ID], [ID]"),
        ("mail a.meyer@example.org, see https://x.org/p?id=1", "mail [EMAIL], see [URL]"),
        ("a 93-year-old man", "a 90+-year-old man"),
        ("An apple, Meyerson and Annabel stay", "An apple, Meyerson and Annabel stay"),
        ("on 3 March 2019 and March 3rd, 2019", "on [DATE] and [DATE]"),
        ("SSN 999-12-3456", "SSN [ID]"),
        ("potassium 4.5 mmol/L, 120/80 mmHg", "potassium 4.5 mmol/L, 120/80 mmHg"),
    ],
)
def test_notes_lose_what_names_the_patient_and_keep_the_rest(spark: SparkSession, text: str, clean: str) -> None:
    identity = rows(spark, "vault.identity", """
        source | person_source_value | family_name | given_name | maiden_name | birth_date | address_line  | city    | phone        | email | national_id | medical_record_number | other_id
        n      | p-77                | Meyer       | Anna       | null        | 1980-05-06 | 12 Elm Street | Oldtown | 555-123-4567 | null  | null        | 44-1234               | null
    """)
    vault = rows(spark, "vault.id_vault", """
        source | person_source_value | person_id
        n      | p-77                | 1
    """)
    deny = deny_lists(identity, vault)
    told = deny.select(scrubbed(F.lit(text), F.col("deny_names"), F.col("deny_ids"), PATTERNS).alias("text"))
    found = told.select("text", replaced(F.col("text"))).first()
    assert found[0] == clean
    assert (found[1] > 0) == ("[" in clean)


def test_the_search_finds_an_identifier_in_any_kind_of_file(spark: SparkSession, tmp_path: Path) -> None:
    pq.write_table(pa.table({"t": ["x Zoe4711 y"], "n": [1]}), tmp_path / "a.parquet", compression="zstd")
    pq.write_table(pa.table({"t": [["x", "Zoe4711"]]}), tmp_path / "list.parquet")
    (tmp_path / "b.json.gz").write_bytes(gzip.compress(b'{"v": "zoe4711"}'))
    (tmp_path / "c.bin").write_bytes(b"\xff\x00" + "Zoe4711".encode("utf-16-le"))
    (tmp_path / "d.txt").write_bytes(b"a" * (4 * 1024 * 1024 - 3) + b"Zoe4711")
    (tmp_path / "e.txt").write_text("von Zoé4711", encoding="utf-8")
    (tmp_path / "clean.txt").write_text("nobody")
    names = ["a.parquet", "list.parquet", "b.json.gz", "c.bin", "d.txt", "e.txt", "clean.txt"]
    files = spark.createDataFrame([(n, str(tmp_path / n)) for n in names], "file string, uri string")
    patterns = spark.createDataFrame([("name", "Zoe4711"), ("name", "Zoé4711"), ("name", "Nemo9")], "identifier_class string, pattern string")
    told = [(r["file"], r["pattern"]) for r in hits(files, patterns, pieces=3).collect()]
    assert sorted(told) == sorted((n, "Zoé4711" if n == "e.txt" else "Zoe4711") for n in names if n != "clean.txt")


@pytest.mark.parametrize(
    ("key", "text", "found"),
    [
        ("b0316", "id 49b03166-481d", False),
        ("b0316", "patient_B0316.csv", True),
        ("10432", "0.104325", False),
        ("10432", "mrn=10432;", True),
        ("zoe47", "annazoe47x", True),
    ],
)
def test_a_short_key_counts_only_where_no_checksum_holds_it(
    spark: SparkSession, tmp_path: Path, key: str, text: str, found: bool
) -> None:
    (tmp_path / "f.txt").write_text(text)
    files = spark.createDataFrame([("f.txt", str(tmp_path / "f.txt"))], "file string, uri string")
    patterns = spark.createDataFrame([("source_key", key)], "identifier_class string, pattern string")
    assert bool(hits(files, patterns).count()) is found


def test_no_key_no_start_and_nobody_else_may_read_it(tmp_path: Path) -> None:
    path = tmp_path / "sub" / "key"
    with pytest.raises(ConfigError, match="no key file"):
        read_key(path)
    write_key(path)
    assert len(read_key(path)) == 32
    with pytest.raises(ConfigError, match="left as it is"):
        write_key(path)
    path.chmod(0o640)
    with pytest.raises(ConfigError, match="chmod 600"):
        read_key(path)
