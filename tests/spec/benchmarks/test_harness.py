"""The benchmarks run: their data can be made, contestants take turns, one that is absent stops nobody."""

from __future__ import annotations

import json
import sys
import textwrap
from pathlib import Path

import pydicom
import pytest
from benchmarks import command, csv, data, dicom, fhir, harness
from benchmarks.harness import AbsentError, Contestant, compare, resident_bytes, table

from medlake.sources.quick_json import quick_object

PEERS = harness.ROOT / "benchmarks" / "peers"
SLEEPER = """
    import time
    from serve import serve

    def run(state, data, out):
        print("noise that is no answer")
        held = bytearray({megabytes} * 1_000_000)
        time.sleep(0.3)
        (out / "table").write_text(data.read_text())
        assert len(held)

    def count(state, data, out):
        return len((out / "table").read_text().split())

    serve(lambda: None, run, count)
"""


def contestant(folder: Path, name: str, text: str, **given: object) -> Contestant:
    """A script that stands where the peers' scripts stand for Python."""
    script = folder / f"{name}.py"
    script.write_text(f"import sys\nsys.path.insert(0, {str(PEERS)!r})\n" + textwrap.dedent(text))
    return Contestant(name, str(script), **given)  # type: ignore[arg-type]


def absent() -> Path:
    raise AbsentError("not to be had")


def test_contestants_take_turns_and_what_is_absent_is_left_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = tmp_path / "data"
    given.write_text("one two three")
    who = [
        contestant(tmp_path, "light", SLEEPER.format(megabytes=1)),
        contestant(tmp_path, "heavy", SLEEPER.format(megabytes=200)),
        contestant(tmp_path, "broken", "raise SystemExit(7)"),
        Contestant("absent", "none.py", absent),
    ]
    figures = compare(who, given, tmp_path / "work", runs=2)
    assert list(figures) == ["light", "heavy"]
    assert all(len(f.seconds) == 3 and f.records == 3 and f.median_s >= 0.3 for f in figures.values())
    assert figures["heavy"].peak_bytes - figures["light"].peak_bytes > 150e6
    told = capsys.readouterr().err
    assert "exit code 7" in told
    assert "not to be had" in told
    order = [line.split()[3] for line in told.splitlines() if line.startswith("# round")]
    assert order == ["light", "heavy"] * 3
    assert "| heavy |" in table(figures, "title")


def test_the_memory_of_children_counts() -> None:
    import subprocess

    child = "import sys; held = bytearray(150_000_000); print(len(held), flush=True); sys.stdin.read()"
    before = resident_bytes(harness.os.getpid())
    with subprocess.Popen(
        [sys.executable, "-c", child], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        assert resident_bytes(harness.os.getpid()) - before > 120e6
        process.communicate()


def test_copies_of_resources_have_ids_of_their_own_and_still_point_at_one_another(tmp_path: Path) -> None:
    data.fhir(tmp_path, 2)
    files = {path.name: path.read_bytes().splitlines() for path in tmp_path.iterdir()}
    assert len(files) == 2 * len(data.TYPES)
    ids: dict[int, set[str]] = {}
    for copy in (0, 1):
        lines = [json.loads(line) for line in files[f"Patient.{copy:03d}.ndjson"]]
        ids[copy] = {line["id"] for line in lines}
        assert len(ids[copy]) == len(lines) > 100
        subjects = [json.loads(line)["subject"]["reference"] for line in files[f"Condition.{copy:03d}.ndjson"]]
        assert sum(s.removeprefix("Patient/") in ids[copy] for s in subjects) > 0.9 * len(subjects)
    assert not ids[0] & ids[1]
    assert all(quick_object(line) is not None for lines in files.values() for line in lines)


def test_copies_of_objects_have_uids_of_their_own(tmp_path: Path) -> None:
    data.dicom(tmp_path, 2)
    paths = sorted(tmp_path.rglob("*.dcm"))
    uids = {str(pydicom.dcmread(path, stop_before_pixels=True).SOPInstanceUID) for path in paths}
    assert len(uids) == len(paths) == 2 * len(data.readable()) > 60


def test_copies_of_rows_have_keys_of_their_own(tmp_path: Path) -> None:
    data.csv_tables(tmp_path, 3)
    for table_name in data.TABLES:
        header, *rows = (tmp_path / f"{table_name}.csv").read_text().splitlines()
        assert len(rows) % 3 == 0
        assert len(rows) > 1000
        assert header not in rows


@pytest.mark.parametrize("module", [csv, dicom, fhir])
def test_every_contestant_has_its_script(module: object) -> None:
    for one in module.CONTESTANTS:  # type: ignore[attr-defined]
        compile((PEERS / one.script).read_text(), one.script, "exec")
    assert module.CONTESTANTS[0].name == "medlake"  # type: ignore[attr-defined]


@pytest.mark.long
@pytest.mark.parametrize("kind", ["csv", "dicom", "fhir"])
def test_medlake_takes_part(kind: str, tmp_path: Path) -> None:
    makes = {"csv": data.csv_tables, "dicom": data.dicom, "fhir": data.fhir}
    given = tmp_path / kind
    given.mkdir()
    makes[kind](given, 1)
    who = Contestant("medlake", "medlake_lake.py", args=(kind,))
    figures = compare([who], given, tmp_path / "work", runs=1)
    log = (tmp_path / "work" / "medlake.log").read_text()
    assert figures, log[-2000:]
    in_files = sum(1 for path in given.rglob("*.dcm")) if kind == "dicom" else sum(
        len(path.read_bytes().splitlines()) - (kind == "csv") for path in given.iterdir()
    )
    assert figures["medlake"].records == in_files


def test_a_wish_names_contestants() -> None:
    wanted = [c.name for c in fhir.CONTESTANTS if command._is_wanted(c, "path")]
    assert wanted == ["medlake", "Pathling 9.4.0"]
