"""MEDS 0.4, judged by the validators of the `meds` package."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from meds import CodeMetadataSchema, DataSchema, DatasetMetadataSchema, SubjectSplitSchema
from pyspark.sql import SparkSession
from pyspark.sql import functions as F
from tests.tables import assert_rows

from medlake.doors.lake import Lake
from medlake.standards import meds
from medlake.steps import export
from medlake.steps.context import Context


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("meds") / "out"


def test_the_validators_accept_the_export(context: Callable[..., Context], folder: Path) -> None:
    ctx = context("meds", folder)
    counts = export.run(ctx)
    shards = [pq.read_table(path) for path in sorted((folder / "data").iterdir())]
    for shard in shards:
        DataSchema.validate(shard)
    CodeMetadataSchema.validate(pq.read_table(folder / "metadata" / "codes.parquet"))
    SubjectSplitSchema.validate(pq.read_table(folder / "metadata" / "subject_splits.parquet"))
    DatasetMetadataSchema.validate(json.loads((folder / "metadata" / "dataset.json").read_text()))
    assert counts.kept == sum(shard.num_rows for shard in shards)
    assert not list(folder.rglob(".*"))
    assert all(name.startswith("silver.") for name in ctx.lake.activity.read)


def test_the_validators_would_notice() -> None:
    wrong = pa.table({"subject_id": ["1"], "time": pa.array([None], pa.timestamp("us")), "code": ["a"]})
    with pytest.raises(Exception, match="subject_id"):
        DataSchema.validate(wrong)


def test_a_subject_is_in_one_shard_in_order_of_time_static_first(folder: Path) -> None:
    owners: dict[int, Path] = {}
    for path in (folder / "data").iterdir():
        rows = pq.read_table(path).to_pylist()
        for row in rows:
            assert owners.setdefault(row["subject_id"], path) == path
        keys = [(row["subject_id"], row["time"] is not None, row["time"] or 0) for row in rows]
        assert keys == sorted(keys)
    assert set(owners) == {1, 2, 3}


def test_every_code_of_the_data_is_listed_with_its_name(folder: Path) -> None:
    used = {code for path in (folder / "data").iterdir() for code in pq.read_table(path)["code"].to_pylist()}
    listed = {row["code"]: row["description"] for row in pq.read_table(folder / "metadata" / "codes.parquet").to_pylist()}
    assert used == set(listed)
    assert listed["LOINC//718-7"] == "Hemoglobin"


def test_what_becomes_of_each_row(spark: SparkSession, open_lake: Path) -> None:
    lake = Lake(spark, open_lake)
    events = meds.events({name: lake.read(f"silver.{name}") for name in meds.TABLES})
    said = events.withColumn("at", F.coalesce(F.date_format("time", "yyyy-MM-dd HH:mm"), F.lit("-")))
    assert_rows(said.withColumn("number", F.col("numeric_value").cast("double")), """
        subject_id | at               | code                  | number | text_value | unit    | source_key | is_static
        1          | -                | GENDER//M             | null   | null       | null    | 1          | true
        2          | -                | GENDER//F             | null   | null       | null    | 2          | true
        3          | -                | GENDER//unknown       | null   | null       | null    | 3          | true
        1          | -                | RACE//white           | null   | null       | null    | 1          | true
        1          | 1950-01-01 00:00 | MEDS_BIRTH            | null   | null       | null    | 1          | false
        3          | 1990-01-01 00:00 | MEDS_BIRTH            | null   | null       | null    | 3          | false
        2          | 2020-04-01 03:00 | MEDS_DEATH            | null   | null       | null    | 2          | false
        1          | 2020-01-01 08:00 | Visit//IP             | null   | null       | null    | 11         | false
        1          | 2020-01-05 09:00 | Visit//IP//end        | null   | null       | null    | 11         | false
        2          | 2020-02-01 08:00 | Visit//OP             | null   | null       | null    | 12         | false
        1          | 2020-01-02 00:00 | SNOMED//44054006      | null   | null       | null    | 21         | false
        2          | 2020-02-01 00:00 | ICD10CM//E11          | null   | null       | null    | 22         | false
        2          | 2020-02-02 00:00 | south//=LOCAL         | null   | null       | null    | 23         | false
        2          | 2020-02-03 00:00 | LOINC//L1             | null   | null       | null    | 24         | false
        1          | 2020-01-03 00:00 | RxNorm//860975        | 2.0    | null       | null    | 31         | false
        1          | 2020-01-04 10:00 | SNOMED//80146002      | null   | null       | null    | 41         | false
        1          | 2020-01-02 07:30 | LOINC//718-7          | 140.0  | null       | g/L     | 51         | false
        1          | 2020-01-02 07:30 | LOINC//718-7          | 5.0    | null       | furlong | 52         | false
        2          | 2019-12-24 00:00 | LOINC//5778-6         | null   | yellow     | null    | 53         | false
        2          | 2020-02-01 08:00 | LOINC//72166-2        | null   | a text of more than sixty characters, which OMOP does not hold whole | null | 61 | false
        2          | 2020-03-01 12:00 | NOTE//11506-3         | null   | [NAME] says "well".\\nBye | null | 71    | false
        1          | 2020-01-04 11:05 | DICOM//CT             | null   | Axial      | null    | 81         | false
        1          | -                | DICOM//unknown        | null   | null       | null    | 82         | false
    """)  # fmt: skip


def test_an_event_without_time_is_left_out_and_counted(spark: SparkSession, folder: Path, open_lake: Path) -> None:
    noted = Lake(spark, open_lake).read("ops.export").where("standard = 'meds'")
    assert_rows(noted, """
        table | n_rows | n_left_out
        data  | 22     | 1
    """)  # fmt: skip
    keys = {row["source_key"] for path in (folder / "data").iterdir() for row in pq.read_table(path).to_pylist()}
    assert 81 in keys and 82 not in keys


def test_a_split_is_a_tenth_by_a_fixed_hash(spark: SparkSession) -> None:
    people = spark.range(3000).withColumnRenamed("id", "person_id")
    counts = {row["split"]: row["count"] for row in meds.splits(people).groupBy("split").count().collect()}
    assert set(counts) == {"train", "tuning", "held_out"}
    assert 230 < counts["tuning"] < 370 and 230 < counts["held_out"] < 370
    assert meds.splits(people).exceptAll(meds.splits(people.repartition(5))).isEmpty()
