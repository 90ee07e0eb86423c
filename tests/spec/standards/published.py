"""The published standards as data, no part of the project: in a folder beside the checkout, or in MEDLAKE_SHARED."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
SHARED = Path(os.environ.get("MEDLAKE_SHARED", ROOT.parent / "shared"))
VIEW_SUITE = SHARED / "standards" / "sql-on-fhir"


def published(*parts: str) -> Path:
    """A path below that folder; the test is skipped where it is not there."""
    path = SHARED.joinpath(*parts)
    if not path.exists():
        pytest.skip(f"{'/'.join(parts)} is not in the shared folder (MEDLAKE_SHARED)")
    return path
