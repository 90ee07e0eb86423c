"""A real standalone cluster of the installed Spark: a master, two workers, and jobs sent by spark-submit.

Which medlake runs there: spark-submit puts `--py-files` into the driver's PYTHONPATH, which Python searches before
site-packages and the path file of an editable install; workers put it in second place of sys.path. So the wheel
wins on both sides. PySpark tells workers of .zip, .egg and .jar files only, so a wheel is shipped under the name .zip,
byte for byte the same file.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pyspark

from medlake.doors.jars import jar_paths

ROOT = Path(__file__).resolve().parents[2]
SPARK_HOME = Path(pyspark.__file__).resolve().parent
WORKERS = 2
START_SECONDS = 120  # a cold JVM on a busy machine
STOP_SECONDS = 20

# For JVMs that live a minute or two: no optimising compiler, and nobody proves the bytecode of Spark's classes anew.
# Without that compiler Java keeps 48 MB for compiled code: a driver filled it in a minute and went on interpreting.
SHORT_LIVED = (
    "-XX:+UseSerialGC -XX:TieredStopAtLevel=1 -XX:ReservedCodeCacheSize=256m "
    "-XX:+UnlockDiagnosticVMOptions -XX:-BytecodeVerificationRemote"
)
# Two small executors beside everything else that a test machine does. Each job starts cold JVMs for small tables:
# compiling code costs more than running it, so nothing is compiled. These win over conf/spark/cluster.conf.
SMALL = {
    "spark.driver.memory": "2g",
    "spark.driver.host": "127.0.0.1",
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.driver.extraJavaOptions": SHORT_LIVED,
    "spark.executor.memory": "1g",
    "spark.executor.cores": "1",
    "spark.executor.extraJavaOptions": SHORT_LIVED,
    "spark.cores.max": str(WORKERS),
    "spark.locality.wait": "0s",
    "spark.sql.shuffle.partitions": "2",
    "spark.sql.adaptive.enabled": "false",
    "spark.databricks.delta.snapshotPartitions": "1",
    "spark.buffer.pageSize": "2m",
    "spark.broadcast.compress": "false",
    "spark.broadcast.checksum": "false",
    "spark.shuffle.compress": "false",
    "spark.shuffle.spill.compress": "false",
    "spark.sql.codegen.wholeStage": "false",
    "spark.sql.codegen.factoryMode": "NO_CODEGEN",
}


@dataclass(frozen=True)
class Cluster:
    """A running cluster: its address, and a folder for what it writes (logs, shuffles, copies of the wheel)."""

    master: str
    folder: Path

    def submit(self, job: str | Path, args: Sequence[str], wheel: Path, log: Path | None = None) -> int:
        """Send jobs/<job>.py, or a script by its path; returns the exit code. `log`: else the terminal."""
        command = self._command(job, args, wheel)
        env = clean_environment(self.folder)
        if log is None:
            return subprocess.run(command, env=env, check=False).returncode
        with log.open("ab") as out:
            return subprocess.run(command, env=env, stdout=out, stderr=out, check=False).returncode

    def start(self, job: str | Path, args: Sequence[str], wheel: Path, log: Path) -> subprocess.Popen[bytes]:
        """Send it and go on, to kill its driver: with all it started it is a process group of its own."""
        env = clean_environment(self.folder)
        with log.open("ab") as out:
            return subprocess.Popen(
                self._command(job, args, wheel), env=env, stdout=out, stderr=out, start_new_session=True
            )

    def _command(self, job: str | Path, args: Sequence[str], wheel: Path) -> list[str]:
        script = job if isinstance(job, Path) else ROOT / "jobs" / f"{job}.py"
        return [*submit_command(self.master, shipped_wheel(wheel, self.folder)), str(script), *args]


def submit_command(master: str, archive: Path) -> list[str]:
    """spark-submit with this project's properties, JARs and code, up to the script."""
    small = [part for name, value in SMALL.items() for part in ("--conf", f"{name}={value}")]
    return [
        str(SPARK_HOME / "bin" / "spark-submit"),
        "--master", master,
        "--properties-file", str(ROOT / "conf" / "spark" / "cluster.conf"),
        "--jars", ",".join(str(path) for path in jar_paths()),
        "--py-files", str(archive),
        "--conf", f"spark.pyspark.python={sys.executable}",
        *small,
    ]  # fmt: skip


def shipped_wheel(wheel: Path, folder: Path) -> Path:
    """A copy of the wheel under a name that PySpark gives to its workers."""
    archive = folder / f"{wheel.stem}.zip"
    if not archive.exists():
        shutil.copyfile(wheel, archive)
    return archive


def built_wheel(folder: Path = ROOT / "dist") -> Path:
    """The newest wheel that was built.

    Raises:
        FileNotFoundError: there is none.
    """
    wheels = sorted(folder.glob("medlake-*.whl"), key=lambda path: path.stat().st_mtime)
    if not wheels:
        raise FileNotFoundError(f"No wheel in {folder}. Build one with: make wheel")
    return wheels[-1]


def clean_environment(folder: Path) -> dict[str, str]:
    """This process's environment without what steers Python or Spark."""
    kept = {n: v for n, v in os.environ.items() if not n.startswith(("PYTHON", "PYSPARK", "SPARK", "_PYSPARK", "LOG4J"))}
    return kept | {
        "SPARK_HOME": str(SPARK_HOME),
        "SPARK_LOCAL_IP": "127.0.0.1",
        "SPARK_LOCAL_DIRS": str(folder / "scratch"),
        "SPARK_DAEMON_MEMORY": "256m",
        "SPARK_MASTER_OPTS": f"-Dspark.master.rest.enabled=false {SHORT_LIVED}",
        "SPARK_WORKER_OPTS": SHORT_LIVED,
        "PYSPARK_PYTHON": sys.executable,
        "PYSPARK_DRIVER_PYTHON": sys.executable,
    }


@contextmanager
def standalone() -> Iterator[Cluster]:
    """A master and its workers on this machine; they are stopped and their folder is removed, whatever happens.

    Raises:
        RuntimeError: they did not find each other in time; the message ends with what they logged.
    """
    daemons: list[subprocess.Popen[bytes]] = []
    with tempfile.TemporaryDirectory(prefix="medlake-cluster-") as scratch:
        folder = Path(scratch)
        try:
            daemons.append(_daemon(folder, "master", "org.apache.spark.deploy.master.Master", "--port", "0"))
            master = _logged(folder / "master.log", r"Starting Spark master at (spark://\S+)", 1, daemons)[0]
            options = ("--cores", "1", "--memory", "1g", "--work-dir", str(folder / "work"), master)
            for number in range(WORKERS):
                name = f"worker{number + 1}"
                daemons.append(_daemon(folder, name, "org.apache.spark.deploy.worker.Worker", *options))
            _logged(folder / "master.log", r"Registering worker (\S+)", WORKERS, daemons)
            yield Cluster(master, folder)
        finally:
            for daemon in reversed(daemons):
                _stop(daemon)


def _daemon(folder: Path, name: str, main: str, *options: str) -> subprocess.Popen[bytes]:
    command = [str(SPARK_HOME / "bin" / "spark-class"), main, "--host", "127.0.0.1", "--webui-port", "0", *options]
    with (folder / f"{name}.log").open("wb") as out:
        return subprocess.Popen(
            command, stdout=out, stderr=out, env=clean_environment(folder), start_new_session=True
        )


def _logged(log: Path, pattern: str, times: int, daemons: list[subprocess.Popen[bytes]]) -> list[str]:
    """What `pattern` caught in a log, once it is there `times` times."""
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until and all(daemon.poll() is None for daemon in daemons):
        found = re.findall(pattern, log.read_text(errors="replace"))
        if len(found) >= times:
            return found
        time.sleep(0.1)
    tails = "\n".join(path.read_text(errors="replace")[-2000:] for path in sorted(log.parent.glob("*.log")))
    raise RuntimeError(f"The cluster did not start. It logged:\n{tails}")


def _stop(daemon: subprocess.Popen[bytes]) -> None:
    """End a daemon and the executors in its process group; first politely."""
    daemon.terminate()
    try:
        daemon.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        daemon.kill()
        daemon.wait()
    try:
        os.killpg(daemon.pid, signal.SIGKILL)  # the group was made for this daemon alone
    except ProcessLookupError:
        return
