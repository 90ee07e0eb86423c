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
os.environ["TZ"] = "UTC"
if not hasattr(sys.modules["__main__"], "__file__"):  # a worker of pytest-xdist: PySpark takes it for a doctest and exits
    sys.modules["__main__"].__file__ = __file__

QUICK = {"spark.master": "local[2]", "spark.driver.memory": "3g"}  # the rest is conf/spark/local.conf


@pytest.fixture(scope="session")
def spark() -> Iterator[SparkSession]:
    """The suite's session."""
    running = session.start("medlake tests", {**Conf().spark("local"), **QUICK})
    yield running
    running.stop()


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
