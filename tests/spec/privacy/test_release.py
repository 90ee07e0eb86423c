"""A table of the open zone on its way out: measured, generalised, counted with noise, made up; what it cost is written down."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from medlake.doors.lake import Lake
from medlake.doors.ledger import Night
from medlake.doors.settings import Conf, load
from medlake.grammar.contract import promise
from medlake.grammar.errors import QualityGateError, UsageError
from medlake.steps import counts, risk, synthesise
from medlake.steps.context import Context, Progress

N = 240


@pytest.fixture(scope="module")
def ctx(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Context:
    """A lake with a person table."""
    root, to, draw = tmp_path_factory.mktemp("release") / "lake", promise("silver.person"), random.Random(9)
    given = {"source": "north", "race_concept_id": 0, "ethnicity_concept_id": 0, "n_sources": 1, "qc": []}
    data = []
    for i in range(N):
        row = {**given, "person_id": i, "gender_concept_id": draw.choice([8507, 8532]), "year_of_birth": draw.randrange(1940, 2010), "race_source_value": draw.choice(["a", "b", "c"])}
        data.append(tuple(row.get(name) for name in to.columns))
    lake = Lake(spark, root)
    lake.merge("silver.person", spark.createDataFrame(data, to.schema))
    conf = Conf()
    return Context(spark, lake, load(conf, "local", lake=root), conf, Night(1, date(2026, 7, 15)), bytes(32), Progress())


def asked(ctx: Context, to: Path | None = None, **extra: object) -> Context:
    said = {name: None if value is None else str(value) for name, value in extra.items()}
    return replace(ctx, only="silver.person", to=to, extra=said)


def test_a_release_reaches_its_k_and_tells_what_it_cost(ctx: Context, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    risk.run(asked(ctx, tmp_path / "out", quasi="year_of_birth,gender_concept_id", sensitive="race_source_value", k=11, l=2))
    before, after = ctx.lake.read("ops.k_anonymity_result").orderBy("loss").collect()
    assert (before["n_rows"], before["loss"], before["levels"]) == (N, 0.0, None)
    assert before["k"] < 11 <= after["k"]
    assert after["l"] >= 2
    assert after["n_rows"] + after["n_suppressed"] == N
    assert after["n_suppressed"] <= 0.05 * N
    made = ctx.spark.read.parquet(str(tmp_path / "out"))
    assert set(made.columns) == {"year_of_birth", "gender_concept_id", "race_source_value"}, "nothing that was not asked for"
    assert made.count() == after["n_rows"]
    said = capsys.readouterr().err
    print(said)
    assert "rows left out" in said and "loss" in said
    with pytest.raises(QualityGateError, match="cannot reach k = 500"):
        risk.run(asked(ctx, quasi="gender_concept_id", k=500, max_suppressed=0.1))
    for table, columns in (("vault.identity", "family_name"), ("silver.person", "nobody")):
        with pytest.raises(UsageError):
            risk.run(replace(asked(ctx, quasi=columns), only=table))


def test_counts_with_noise_cost_their_budget(ctx: Context, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("opendp")
    counts.run(asked(ctx, by="gender_concept_id", epsilon=6, delta=1e-6, form="json"))
    told = {row["gender_concept_id"]: int(row["n"]) for row in map(json.loads, capsys.readouterr().out.splitlines())}
    truth = {str(r["gender_concept_id"]): r["count"] for r in ctx.lake.read("silver.person").groupBy("gender_concept_id").count().collect()}
    assert told.keys() == truth.keys()
    assert all(abs(told[group] - truth[group]) <= 5 for group in truth), "beyond 5 once in 10¹³ at epsilon 6"
    with pytest.raises(QualityGateError, match="6 of 10 are spent"):
        counts.run(asked(ctx, by="gender_concept_id", epsilon=6, delta=1e-6))
    assert ctx.lake.read("ops.privacy_budget").count() == 1


def test_made_up_rows_come_with_a_report(ctx: Context, tmp_path: Path) -> None:
    synthesise.run(asked(ctx, tmp_path / "out", columns="year_of_birth,gender_concept_id,race_source_value", rows=300))
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    print(report)
    assert (report["n_made_up"], report["n_fitted"] < N) == (300, True)
    assert 0 <= report["share_equal_to_a_real_row"] <= 1
    assert report["distance_of_columns"] < 0.2
    assert ctx.spark.read.parquet(*map(str, (tmp_path / "out").glob("*.parquet"))).count() == 300
