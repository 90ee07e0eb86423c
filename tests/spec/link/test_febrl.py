"""Febrl's data sets through `medlake link --csv`: no labels are used, F1 of pairs at least 0.995."""

from __future__ import annotations

from pathlib import Path

import pytest
from benchmarks.linkage import rightness
from pyspark.sql import SparkSession
from tests.shared import shared

from medlake.cli import app, guarded


def linked(file: Path, folder: Path) -> tuple[float, float, float]:
    """Precision, recall and F1 of the command's clusters."""
    out = folder / "clusters.csv"
    command = ["link", "--csv", str(file), "--key", "rec_id", "--export", str(out)]
    assert guarded(lambda: app(command)) == 0
    assert out.stat().st_mode & 0o077 == 0, "who is whom is nobody else's business"
    return rightness(out)


def test_febrl_1(spark: SparkSession, tmp_path: Path) -> None:
    precision, _, f1 = linked(shared("samples", "febrl", "dataset1.csv"), tmp_path)
    assert f1 >= 0.995 and precision == 1.0


@pytest.mark.long
def test_febrl_4(spark: SparkSession, tmp_path: Path) -> None:
    files = [shared("samples", "febrl", f"dataset4{half}.csv") for half in "ab"]
    head, *first = files[0].read_text(encoding="utf-8").splitlines()
    rows = [*first, *files[1].read_text(encoding="utf-8").splitlines()[1:]]
    whole = tmp_path / "dataset4.csv"
    whole.write_text("\n".join([head, *filter(str.strip, rows)]) + "\n", encoding="utf-8")
    precision, _, f1 = linked(whole, tmp_path)
    assert f1 >= 0.995 and precision >= 0.999


def test_a_broken_file_is_refused_with_a_count(spark: SparkSession, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "people.csv"
    for text, said in (
        ("id,surname\n1,Miller\n2,Smith,Anna\n", "1 row(s) of people.csv have more or fewer cells"),
        ("id,surname\n1,Miller\n1,Smith\n", "stands twice in 1 row(s)"),
        ("id,surname\n1,Miller\n,Smith\n", "missing or stands twice in 1 row(s)"),
    ):
        file.write_text(text, encoding="utf-8")
        command = ["link", "--csv", str(file), "--key", "id", "--export", str(tmp_path / "out.csv")]
        assert guarded(lambda command=command: app(command)) == 2
        told = capsys.readouterr().err
        assert said in told and "Smith" not in told
    assert not (tmp_path / "out.csv").exists()
