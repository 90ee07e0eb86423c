"""The folder of real samples and standards, which is no part of the project: beside the checkout, or MEDLAKE_SHARED."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


def shared(*parts: str) -> Path:
    """A path below that folder; the test is skipped where it is not there."""
    path = Path(os.environ.get("MEDLAKE_SHARED", ROOT.parent / "shared")).joinpath(*parts)
    if not path.exists():
        pytest.skip(f"{'/'.join(parts)} is not in the shared folder (MEDLAKE_SHARED)")
    return path
