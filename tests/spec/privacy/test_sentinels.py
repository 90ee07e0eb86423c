"""Sentinels of 18 classes in four formats: none in any byte outside the restricted zone, each found where nothing is removed."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from tests.nights import conf_of, small_landing
from tests.spec.privacy.sentinels import FORMATS, SAID, Sentinel, plant, sentinels

from medlake.doors.settings import Conf
from medlake.grammar.contract import Promise, data_type, promise
from medlake.privacy.deidentify import ORIGIN, deidentified
from medlake.privacy.leak_scan import hits
from medlake.privacy.scrub_text import Pattern, deny_lists
from medlake.steps import build
from medlake.steps.runner import Options, Runner

WITH_TEXT = ("observation", "note", "imaging_study", "image_occurrence")


def everything_outside(lake: Path, *more: Path) -> list[tuple[str, str]]:
    """(name, path) of every file of the lake but the restricted zone's, and of all below other folders."""
    files = [p for p in lake.rglob("*") if p.is_file() and p.relative_to(lake).parts[0] != "restricted"]
    files += [p for folder in more for p in folder.rglob("*") if p.is_file()]
    return [(p.as_posix(), str(p)) for p in files]


def found(spark: SparkSession, files: list[tuple[str, str]], planted: list[Sentinel]) -> set[Sentinel]:
    """The sentinels that the leak scan finds in the files."""
    patterns = [(f"{s.kind}/{s.form}/{s.person}", text) for s in planted for text in _written(s)]
    listed = spark.createDataFrame(files, "file string, uri string")
    told = hits(listed, spark.createDataFrame(patterns, "identifier_class string, pattern string"))
    names = {row["identifier_class"] for row in told.select("identifier_class").distinct().collect()}
    return {s for s in planted if f"{s.kind}/{s.form}/{s.person}" in names}


def _written(sentinel: Sentinel) -> list[str]:
    """A moment also as ISO 8601 and as the scan reads a column of times."""
    text = sentinel.text
    return [text] if sentinel.kind != "date" else [text, text.replace(" ", "T"), text.translate(str.maketrans(" ", "T", "-:"))]


def as_it_came(judged: DataFrame, to: Promise, **_: object) -> DataFrame:
    """What de-identification would be if it were switched off: every column of the promise as its source gave it."""

    def given(name: str, kind: str) -> object:
        value = F.col(name) if name in judged.columns else F.lit(None)
        return F.xxhash64("event_name") if name == to.key[0] and kind == "bigint" else value.cast(data_type(kind))

    extra = [c for c in ORIGIN if c not in to.columns]
    return judged.select(*[given(c.name, c.type).alias(c.name) for c in to.columns.values()], *extra)


def missed(planted: list[Sentinel], seen: set[Sentinel]) -> list[str]:
    return sorted({f"{s.kind} in {s.form}" for s in planted if s not in seen})


def judged(spark: SparkSession, planted: list[Sentinel]) -> DataFrame:
    """The sentences as rows that wait for de-identification, with what the vault knows of their persons."""
    of_vault = {"name": "family_name", "place": "address_line", "phone": "phone", "ssn": "national_id", "mrn": "medical_record_number", "licence": "other_id"}
    people: dict[str, dict[str, object]] = {}
    for s in planted:
        key = f"{s.form}-{s.person}"
        people.setdefault(key, {"source": "made", "person_source_value": key, "gender_concept_id": 0})
        people[key] |= {of_vault[s.kind]: s.text} if s.kind in of_vault else {}
    numbers = {key: i for i, key in enumerate(people)}
    identity = promise("vault.identity").schema
    known = spark.createDataFrame([tuple(p.get(f.name) for f in identity) for p in people.values()], identity)
    keys = spark.createDataFrame([("made", key, i) for key, i in numbers.items()], "source string, person_source_value string, person_id long")
    said = [(f"{s.form}-{s.person}", s.form, s.sentence, f"{s.kind}", s.text if s.kind == "date" else None) for s in planted]
    texts = spark.createDataFrame(said, "person_source_value string, form string, text string, event_name string, at string")
    nothing = {c: F.lit(None).cast("string") for c in ORIGIN if c != "source"}
    ours = {"event_key": F.sha2("person_source_value", 256), "shift_days": F.lit(-17), "observation_datetime": F.to_timestamp("at")}
    texts = texts.join(keys, on="person_source_value", how="inner").join(deny_lists(known, keys), on="person_id", how="left")
    return texts.withColumns({**nothing, **ours, **{c: F.col("text") for c in ("value_as_string", "description", "note_text")}})


SILVER = {"csv": "silver.observation", "fhir": "silver.observation", "dicom": "silver.image_occurrence", "notes": "silver.note"}


def written(safe: Callable[..., DataFrame], rows: DataFrame, folder: Path) -> list[tuple[str, str]]:
    """The open zone's rows of each format as files of several kinds."""
    scrub = Conf().toml("scrub.toml")["pattern"]
    patterns = [Pattern(name, p["regex"], p["tag"]) for name, p in scrub.items()]
    for i, (form, table) in enumerate(SILVER.items()):
        made = safe(rows.where(F.col("form") == form), promise(table), key=bytes(32), patterns=patterns)
        out = made.select(*promise(table).columns).coalesce(1).write
        (out.parquet, out.option("compression", "gzip").json, out.parquet, out.json)[i](str(folder / form))
    return [(p.name, str(p)) for p in folder.rglob("part-*")]


def test_no_sentinel_passes_and_each_is_found_where_nothing_is_removed(spark: SparkSession, tmp_path: Path) -> None:
    planted = sentinels(2)
    rows = judged(spark, planted).localCheckpoint()
    leaked = found(spark, written(deidentified, rows, tmp_path / "open"), planted)
    seen = found(spark, written(as_it_came, rows, tmp_path / "off"), planted)
    print(f"{len(planted)} sentinels: {len(leaked)} pass {missed(planted, set(planted) - leaked)}, {len(seen)} found where nothing is removed")
    assert missed(planted, set(planted) - leaked) == []
    assert missed(planted, seen) == []


@pytest.mark.slow
@pytest.mark.long
def test_ten_thousand_sentinels_in_a_whole_night(spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """600 of each class over four formats, through every step with its models, page and audit, in a process of its own."""
    planted = sentinels(150)
    landing, lake, temp = small_landing(tmp_path / "landing"), tmp_path / "lake", tmp_path / "temp"
    plant(landing, planted)
    temp.mkdir()
    conf = conf_of(tmp_path / "conf")
    command = [sys.executable, "-m", "medlake", "night", "--conf", conf, "--lake", lake, "--landing", landing]
    said = {**os.environ, "TMPDIR": str(temp), "SPARK_LOCAL_DIRS": str(temp), "_JAVA_OPTIONS": f"-Djava.io.tmpdir={temp}"}
    with (temp / "night.out").open("w") as out:
        assert subprocess.run(list(map(str, command)), stdout=out, stderr=out, env=said, check=False).returncode == 0, (temp / "night.out").read_text()
    files = everything_outside(lake, temp)
    leaked = found(spark, files, planted)
    per = len(planted) // len(SAID)
    print(f"\n{len(planted):,} sentinels: {per} of each of {len(SAID)} classes over {', '.join(FORMATS)}; {len(files):,} files searched")
    print(f"found outside the restricted zone: {len(leaked):,} {missed(planted, set(planted) - leaked)}")
    monkeypatch.setattr(build, "deidentified", as_it_came)
    for table in WITH_TEXT:
        assert Runner(Options(conf=conf, lake=lake, landing=landing, only=table)).step("build") == 0
    seen = found(spark, everything_outside(lake), planted)
    print(f"found with de-identification switched off: {len(seen):,} of {len(planted):,} {missed(planted, seen)}")
    assert len(planted) >= 10_800
    assert not leaked
    assert missed(planted, seen) == []
