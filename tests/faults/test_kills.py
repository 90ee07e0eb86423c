"""SIGKILL and failing disks at chosen changes to the lake's files: the lake ends as if nothing had happened.

The first run counts how often a small lake's files change. Lakes are then killed at twelve of these places, gone on
with after each, and compared with the undisturbed one; the same with disks that are full or broken for a while, and
with a worker of Python that is killed. The control leaves out what makes an append safe and must show doubled rows:
the test can see what it looks for.
"""

from __future__ import annotations

import errno
import os
import shutil
import signal
import struct
import subprocess
import sys
import time
from pathlib import Path

import pytest
from pyspark.sql import SparkSession
from tests.nights import ROOT, conf_of, contents

from medlake.doors.lake import Lake

pytestmark = pytest.mark.slow
LAKES = 6
STEPS = ("ingest", "link", "build")
PROGRAM = '''
import sys
from pathlib import Path
from medlake.steps.runner import Options, Runner
conf, lake, landing = map(Path, sys.argv[1:])
for step in {steps}:
    Runner(Options(conf=conf, lake=lake, landing=landing)).step(step)
'''


@pytest.fixture(scope="module")
def shim(tmp_path_factory: pytest.TempPathFactory) -> Path:
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        pytest.skip("needs a C compiler")
    made = tmp_path_factory.mktemp("shim") / "crash_shim.so"
    source = ROOT / "tests" / "faults" / "crash_shim.c"
    subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-o", str(made), str(source), "-ldl"], check=True)
    return made


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A conf and a landing folder of one small source."""
    folder = tmp_path_factory.mktemp("kills")
    source = conf_of(folder / "conf") / "sources" / "westside"
    source.mkdir(parents=True)
    (source / "source.toml").write_text('[table.leute]\nfiles = "leute*.csv"\nkey = ["pid"]\n\n[table.befunde]\nfiles = "befunde*.csv"\n')
    (source / "person.sql").write_text("SELECT pid AS person_source_value, name AS family_name, 8507 AS gender_concept_id FROM leute\n")
    (source / "measurement.sql").write_text(
        "SELECT pid AS person_source_value, code AS measurement_source_value, tag AS measurement_datetime, wert AS value_source_value FROM befunde\n"
    )
    landing = folder / "landing" / "westside"
    landing.mkdir(parents=True)
    (landing / "leute.csv").write_text("pid,name\n" + "".join(f"{n},Name{n}\n" for n in range(40)) + "bad\n")
    (landing / "befunde.csv").write_text("pid,code,tag,wert\n" + "".join(f"{n % 44},na,2024-01-{n % 28 + 1:02},{n}\n" for n in range(400)))
    return folder


def start(home: Path, lake: Path, **env: str) -> subprocess.Popen[bytes]:
    """The steps in a process group of their own."""
    command = [sys.executable, "-c", PROGRAM.format(steps=STEPS), str(home / "conf"), str(lake), str(home / "landing")]
    with (lake.parent / f"{lake.name}.out").open("ab") as out:
        return subprocess.Popen(command, env=os.environ | env, stdout=out, stderr=out, start_new_session=True)


def run(home: Path, lake: Path, shim: Path, crash_at: int = 0, **env: str) -> tuple[int, int]:
    """(exit code, changes made below the lake) of one run of the steps."""
    counter = lake.parent / f"{lake.name}.count"
    counter.unlink(missing_ok=True)
    watched = {"LD_PRELOAD": str(shim), "CRASH_PREFIX": str(lake), "CRASH_COUNT": str(counter), "CRASH_AT": str(crash_at)}
    code = start(home, lake, **watched, **env).wait()
    return code, struct.unpack("<Q", counter.read_bytes())[0]


@pytest.fixture(scope="module")
def calm(spark: SparkSession, home: Path, shim: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[int, dict[str, tuple[int, int]]]:
    """(changes of files, rows) of an undisturbed run."""
    lake = tmp_path_factory.mktemp("calm") / "lake"
    code, changes = run(home, lake, shim)
    assert code == 0 and changes > 100
    return changes, rows_of(spark, lake)


def rows_of(spark: SparkSession, lake: Path) -> dict[str, tuple[int, int]]:
    """Every record of bronze, quarantine and silver, without the clock and the run it came in with."""
    found = contents(spark, lake, "silver")
    for name, columns in {
        "bronze.csv_record": ["source", "source_table", "file", "file_sha256", "row", "batch", "row_hash"],
        "quarantine.record": ["record_id", "raw"],
        "vault.id_vault": ["source", "person_source_value", "person_id"],
        "bronze.landing_file": ["source", "file", "file_sha256", "batch"],
    }.items():
        rows = sorted(tuple(row) for row in Lake(spark, lake).read(name).select(*columns).collect())
        found[name] = (len(rows), hash(tuple(rows)))
    return found


@pytest.mark.long
def test_twelve_kills_at_changes_of_files_lose_and_double_nothing(spark: SparkSession, home: Path, shim: Path, calm, tmp_path: Path) -> None:
    changes, whole = calm
    killed = 0
    for n in range(LAKES):  # each lake is killed, gone on with, killed again, and gone on with to its end
        lake = tmp_path / f"lake{n}"
        first = max(2, changes * (2 * n + 1) // (2 * LAKES))
        for crash_at in (first, max(2, (changes - first) // 2)):
            code, _ = run(home, lake, shim, crash_at)
            killed += code == -signal.SIGKILL
        assert run(home, lake, shim)[0] == 0
        assert rows_of(spark, lake) == whole, f"killed at change {first} of {changes}"
    print(f"{changes} changes of files; {killed} kills; nothing lost, nothing doubled")
    assert killed >= 2 * LAKES - 2  # a kill may come after the last change


@pytest.mark.long
@pytest.mark.parametrize(("fault", "part"), [(errno.ENOSPC, 0.2), (errno.EIO, 0.5), (errno.EACCES, 0.8)])
def test_a_disk_that_fails_for_a_while_is_no_silent_loss(spark: SparkSession, home: Path, shim: Path, calm, tmp_path: Path, fault: int, part: float) -> None:
    changes, whole = calm
    lake = tmp_path / "lake"
    code, _ = run(home, lake, shim, int(changes * part), CRASH_ERRNO=str(fault), CRASH_FOR="40")
    assert code != 0 or rows_of(spark, lake) == whole
    assert run(home, lake, shim)[0] == 0
    assert rows_of(spark, lake) == whole


@pytest.mark.long
def test_a_killed_worker_of_python_is_no_silent_loss(spark: SparkSession, home: Path, shim: Path, calm, tmp_path: Path) -> None:
    lake = tmp_path / "lake"
    running = start(home, lake)
    killed = 0
    while running.poll() is None and not killed:
        killed = sum(kill(pid) for pid in workers_of(running.pid))
        time.sleep(0.05)
    assert killed
    assert running.wait() != 0 or rows_of(spark, lake) == calm[1]
    assert run(home, lake, shim)[0] == 0
    assert rows_of(spark, lake) == calm[1]


def workers_of(leader: int) -> list[int]:
    """The workers that read and write for Spark in a session."""
    told = subprocess.run(["ps", "-eo", "pid=,sess=,args="], capture_output=True, text=True, check=True).stdout
    rows = [line.split(None, 2) for line in told.splitlines()]
    return [int(pid) for pid, session, args in rows if "pyspark.daemon" in args and int(session) == leader]


def kill(pid: int) -> bool:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return False
    return True


def test_without_its_transaction_a_repeated_append_doubles_rows(spark: SparkSession, home: Path, tmp_path: Path) -> None:
    lake = Lake(spark, tmp_path / "lake")
    rows = spark.createDataFrame([("s", "t", "c", 1)], "source string, source_table string, column string, batch int")
    for _ in range(2):
        lake.append("bronze.source_column", rows, txn=("medlake/test", 1))
    assert lake.read("bronze.source_column").count() == 1
    for _ in range(2):
        rows.write.format("delta").mode("append").save(lake.path("bronze.source_column"))
    assert lake.read("bronze.source_column").count() == 3
