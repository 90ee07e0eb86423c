"""The folder of shared sample data that is no part of the project: beside the checkout, or where MEDLAKE_SHARED says."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


def shared_samples(*names: str) -> Path:
    """The folder of shared samples; a test that needs one that is not here is skipped with its name."""
    folder = Path(os.environ.get("MEDLAKE_SHARED", ROOT.parent / "shared")) / "samples"
    absent = [name for name in names if not (folder / name).exists()]
    if absent:
        pytest.skip(f"no shared samples {', '.join(absent)} below {folder}; MEDLAKE_SHARED names another folder")
    return folder
