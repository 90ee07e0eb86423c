"""The suite keeps the tests of one module in one process: they share its lakes, and some tell a story in order."""

from __future__ import annotations

import os

import pytest


@pytest.mark.skipif("PYTEST_XDIST_WORKER" not in os.environ, reason="runs in one process")
def test_a_module_stays_in_one_process(request: pytest.FixtureRequest) -> None:
    """pytest-xdist puts the group after the name of a test; without it, tests are dealt out one by one."""
    assert request.node.nodeid.partition("@")[2], "pytest-xdist takes the groups of tests apart: see the pin of pytest in pyproject.toml"
