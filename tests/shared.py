"""Samples and standards that are no part of the project: in a folder beside the checkout, or where MEDLAKE_SHARED says."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


SHARED = Path(os.environ.get("MEDLAKE_SHARED", ROOT.parent / "shared"))
VIEW_SUITE = SHARED / "standards" / "sql-on-fhir"


def shared(*parts: str) -> Path:
    """A path below that folder; the test is skipped, and says so, where it is not there."""
    path = SHARED.joinpath(*parts)
    if not path.exists():
        pytest.skip(f"no {'/'.join(parts)} in the shared folder; MEDLAKE_SHARED names another one")
    return path


def shared_samples(*names: str) -> Path:
    """The folder of shared samples, all of `names` in it."""
    for name in names:
        shared("samples", name)
    return SHARED / "samples"
