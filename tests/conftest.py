"""One Spark session for the whole suite, small and with Delta; whole nights are made once and shared."""

from __future__ import annotations

import os
import secrets
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from medlake.doors import session
from medlake.doors.settings import Conf

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tests import jvm  # noqa: E402
from tests.deliveries import Hospital  # noqa: E402
from tests.nights import ONE_PARTITION, SmallNight  # noqa: E402

os.environ["TZ"] = "UTC"
if not hasattr(sys.modules["__main__"], "__file__"):  # a worker of pytest-xdist: PySpark takes it for a doctest and exits
    sys.modules["__main__"].__file__ = __file__

# The rest is conf/spark/local.conf. Hundreds of lakes come and go: with a heap that has its size from the beginning,
# little is collected twice. Nobody proves the bytecode of Spark's 20,000 classes anew, nor throws compiled code away.
QUICK = {"spark.master": "local[4]", "spark.driver.memory": "5g", **ONE_PARTITION}
JAVA = (
    "-XX:MetaspaceSize=512m -Xms5g -Xmn2500m -XX:ReservedCodeCacheSize=512m -XX:-UseCodeCacheFlushing "
    "-XX:+UnlockDiagnosticVMOptions -XX:-BytecodeVerificationRemote"
)


def _choices() -> dict[str, str]:
    java, shipped = "spark.driver.extraJavaOptions", Conf().spark("local")
    return {**shipped, **QUICK, java: f"{shipped[java]} {JAVA}"}  # the last word counts


def pytest_configure(config: pytest.Config) -> None:
    """Processes of pytest-xdist have one JVM, which the process that starts them keeps."""
    if getattr(config.option, "numprocesses", None):
        log = config.cache.mkdir("jvm") / "log"
        config.add_cleanup(jvm.share(_choices(), log).stop)


@pytest.fixture(scope="session")
def spark() -> Iterator[SparkSession]:
    """The suite's session."""
    if jvm.WHERE in os.environ:
        yield jvm.join(_choices())
    else:
        running = session.start("medlake tests", _choices())
        yield running
        running.stop()


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A module's tests, or those of one xdist_group, stay in one process; what takes longest comes first."""
    for item in items:
        if item.get_closest_marker("xdist_group") is None:
            item.add_marker(pytest.mark.xdist_group(item.nodeid.partition("::")[0]))
    groups = [next(mark.args[0] for mark in item.iter_markers("xdist_group")) for item in items]
    first = {group: group != "hospital" for group in groups}  # it and the golden nights take longest
    slow = {group for item, group in zip(items, groups, strict=True) if item.get_closest_marker("slow")}
    order = sorted(zip(items, groups, strict=True), key=lambda each: (first[each[1]] and "golden" not in each[1], each[1] not in slow))
    items[:] = [item for item, _ in order]


@pytest.fixture(scope="session")
def hospital(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Hospital:
    """Five sources after their first delivery, in the process that has the group `hospital`; modules send more."""
    made = Hospital(tmp_path_factory.mktemp("hospital"), spark)
    made.deliver()
    return made


@pytest.fixture(scope="session")
def small_night(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> SmallNight:
    """A finished night with every step on the small landing folder, for tests that take long anyway."""
    return SmallNight.run(spark, tmp_path_factory.mktemp("small"))


@pytest.fixture(scope="module", autouse=True)
def _forgotten_lakes() -> Iterator[None]:
    """What Delta remembers of a module's lakes for an hour would fill the memory: hundreds of them come and go."""
    yield
    running = SparkSession.getActiveSession()
    if running is not None:
        running._jvm.org.apache.spark.sql.delta.DeltaLog.clearCache()


@pytest.fixture(scope="session", autouse=True)
def key_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A key of the suite's own; no test touches the user's."""
    path = tmp_path_factory.mktemp("key") / "key"
    path.write_text(secrets.token_hex(32))
    path.chmod(0o600)
    os.environ["MEDLAKE_KEY_FILE"] = str(path)
    return path
