"""Whose a record of bronze is, and which records a night's news touch: as text tables."""

from __future__ import annotations

import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from tests.tables import assert_rows, rows

from medlake.sources.declared import Source, declared
from medlake.sources.owners import names_of, needed, numbered, only_of, owned, place_of, places_of, touched

BRONZE = """
    source | source_table | file_sha256 | row | batch | record
    west   | people       | a           | 1   | 1     | {"pid": "p1"}
    west   | people       | a           | 2   | 1     | {"pid": " p2 "}
    west   | results      | b           | 1   | 1     | {"nr": "1", "who": "p1"}
    west   | results      | b           | 2   | 1     | {"nr": "2", "who": "p2"}
    west   | results      | b           | 3   | 1     | {"nr": "3"}
    west   | codes        | c           | 1   | 1     | {"code": "x"}
    west   | results      | d           | 1   | 2     | {"nr": "2", "who": "p3"}
"""
FHIR = """
    source | source_table | file_sha256 | row | batch | resource_type | resource_id | patient_key
    clinic | Patient      | e           | 1   | 1     | Patient       | q1          | q1
    clinic | Medication   | e           | 2   | 1     | Medication    | m           | null
    clinic | Organization | e           | 3   | 1     | Organization  | o           | null
    clinic | Observation  | e           | 4   | 1     | Observation   | v           | null
"""


@pytest.fixture(scope="module")
def sources() -> dict[str, Source]:
    west = {"table": {"people": {"files": "p*.csv", "key": ["pid"], "patient": "pid"},
                      "results": {"files": "r*.csv", "key": ["nr"], "patient": "who"},
                      "codes": {"files": "c*.csv", "key": ["code"]}}}  # fmt: skip
    return {"west": declared("west", west, {}, {}), "clinic": declared("clinic", {"format": "fhir"}, {}, {})}


@pytest.fixture(scope="module")
def every(spark: SparkSession, sources: dict[str, Source]) -> DataFrame:
    tables = {"csv_record": rows(spark, "bronze.csv_record", BRONZE), "fhir_resource": rows(spark, "bronze.fhir_resource", FHIR)}
    csv, fhir = (places_of(owned(table, name, sources), name) for name, table in tables.items())
    return csv.unionByName(fhir)


def patients(spark: SparkSession, *named: tuple[str, str]) -> DataFrame:
    said = spark.createDataFrame([*named], "patient_source string, person_source_value string")
    return said.select(numbered("patient_source", "person_source_value").alias("patient"))


def test_news_touch_their_patients_and_those_whose_record_they_replace(spark: SparkSession, every: DataFrame) -> None:
    news = every.where("batch = 2")
    found = touched(every, news, names_of(news))
    want = patients(spark, ("west", "p2"), ("west", "p3"))
    assert {r[0] for r in found.collect()} == {r[0] for r in want.collect()}, "result 2 was of p2 and is of p3 now"


@pytest.mark.parametrize(
    ("whole", "read", "want"),
    [
        # p2's own, what replaces it, what names nobody or belongs to anybody
        ([], {"clinic": ["medication", "observation"]}, "a2 b2 b3 c1 d1 e2 e4"),
        ([], {}, "a2 b2 b3 c1 d1 e2 e3 e4"),
        (["west"], {"clinic": []}, "a1 a2 b1 b2 b3 c1 d1 e4"),
    ],
)
def test_needed_are_all_records_that_rows_of_a_patient_may_be_made_of(
    spark: SparkSession, every: DataFrame, whole: list[str], read: dict[str, list[str]], want: str
) -> None:
    wanted = patients(spark, ("west", "p2"))
    named = names_of(every.join(wanted, on="patient", how="left_semi"))
    found = needed(every, wanted, named, whole, read)
    stand = rows(spark, None, "\n".join(line.rsplit("|", 1)[0] for line in BRONZE.strip().splitlines()), row="bigint", batch="int")
    more = rows(spark, None, "\n".join("|".join(line.split("|")[:5]) for line in FHIR.strip().splitlines()), row="bigint", batch="int")
    placed = stand.unionByName(more).withColumn("place", place_of())
    told = placed.join(found.select("place"), on="place", how="left_semi").select(F.concat("file_sha256", "row").alias("at"))
    assert sorted(r["at"] for r in told.collect()) == want.split()


def test_rows_of_others_are_left_out(spark: SparkSession) -> None:
    mapped = rows(spark, None, """
        source | patient_source | person_source_value
        west   | west           | p1
        west   | west           | p2
        west   | west           | null
        notes  | west           | p1
        lab    | lab            | p9
        lab    | lab            | p1
    """)  # fmt: skip
    assert_rows(only_of(mapped, patients(spark, ("west", "p1")), ["notes"]), """
        source | patient_source | person_source_value
        west   | west           | p1
        west   | west           | null
        notes  | west           | p1
    """)  # fmt: skip
