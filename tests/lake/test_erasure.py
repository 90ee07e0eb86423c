"""What is deleted is in no file: not in older versions, the change feed, statistics, checkpoints."""

from __future__ import annotations

from pathlib import Path

from pyspark.sql import SparkSession
from pyspark.sql import functions as F
from tests.tables import assert_rows, rows

from medlake.doors.commits import CommitBook
from medlake.doors.erasure import purge
from medlake.doors.lake import Lake
from medlake.privacy.leak_scan import hits

LINKS = """
    left_source | left_key  | right_source | right_key | rule
    north       | aa-first  | south        | S-1       | ssn
    north       | zz-secret | south        | S-2       | ssn
"""


def found(spark: SparkSession, folder: Path, *words: str) -> set[tuple[str, str]]:
    """(word, kind of file) of every hit below a folder."""
    files = spark.createDataFrame([(str(p.relative_to(folder)), str(p)) for p in folder.rglob("*") if p.is_file()], "file string, uri string")
    patterns = spark.createDataFrame([("key", word) for word in words], "identifier_class string, pattern string")
    told = hits(files, patterns).collect()
    return {(r["pattern"], "log" if "_delta_log" in r["file"] else "change" if "_change_data" in r["file"] else "data") for r in told}


def test_a_purged_table_holds_what_it_holds_and_nothing_else(spark: SparkSession, tmp_path: Path) -> None:
    lake = Lake(spark, tmp_path)
    lake.merge("vault.person_link", rows(spark, "vault.person_link", LINKS))
    links = lake.read("vault.person_link")
    assert lake.remove("vault.person_link", links.where(F.col("left_key") == "zz-secret")) == 1
    assert {kind for word, kind in found(spark, tmp_path, "zz-secret")} >= {"log", "data"}, "deleting alone is not enough"
    version = lake.version("vault.person_link")
    assert purge(lake, "vault.person_link") > 0
    assert found(spark, tmp_path, "zz-secret", "aa-first") == {("aa-first", "log"), ("aa-first", "data")}
    assert_rows(lake.read("vault.person_link"), """
        left_key | right_key
        aa-first | S-1
    """)
    assert CommitBook(tmp_path).check() == []
    assert lake.changes("vault.person_link", version).count() == 0, "who has seen the deletion reads on from there"
    lake.merge("vault.person_link", rows(spark, "vault.person_link", LINKS.replace("zz-secret", "mm-third")))
    assert lake.changes("vault.person_link", version).count() == 1
    assert CommitBook(tmp_path).check() == []
