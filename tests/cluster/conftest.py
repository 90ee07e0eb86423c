"""One wheel and one standalone cluster for all tests of a process that need them."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.cluster.cluster import ROOT, Cluster, built_wheel, standalone


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    uv = shutil.which("uv") or str(ROOT / ".cache" / "uv" / "bin" / "uv")
    if Path(uv).is_file():
        command = [uv, "build", "-q", "--wheel", "-o", str(folder)]
    else:
        command = [sys.executable, "-m", "build", "--wheel", "--outdir", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True)
    return built_wheel(folder)


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    with standalone() as running:
        yield running
