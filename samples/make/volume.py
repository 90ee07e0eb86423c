"""A real MR volume: the echo-planar head scan among nibabel's test files (MIT licence), slice by slice."""

import gzip
import os
import shutil
import struct
import subprocess
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .places import CACHE

NIBABEL = "nibabel==5.3.2"
SCAN = "nibabel/tests/data/example4d.nii.gz"
RAS_TO_LPS = np.array([-1.0, -1.0, 1.0])  # NIfTI counts to the right and front, DICOM to the left and back


@dataclass(frozen=True)
class Slice:
    """One axial slice with its place in the patient, DICOM's axes, millimetres."""

    pixels: NDArray[np.uint16]
    position: list[float]
    orientation: list[float]
    row_column_mm: list[float]
    thickness_mm: float


def slices() -> list[Slice]:
    """The 24 slices of the first time point, from the feet up; the front of the head is at the top."""
    content = gzip.decompress(_scan().read_bytes())
    columns, rows, count = struct.unpack("<3h", content[42:48])
    column_mm, row_mm, slice_mm = struct.unpack("<3f", content[80:92])
    start = int(struct.unpack("<f", content[108:112])[0])
    affine = np.array(struct.unpack("<12f", content[280:328])).reshape(3, 4)
    voxels = np.frombuffer(content, "<i2", rows * columns * count, start).reshape(count, rows, columns)
    along_row = affine[:, 0] / np.linalg.norm(affine[:, 0]) * RAS_TO_LPS
    down_column = -affine[:, 1] / np.linalg.norm(affine[:, 1]) * RAS_TO_LPS
    made = []
    for level in range(count):
        corner = (affine[:, :3] @ [0, rows - 1, level] + affine[:, 3]) * RAS_TO_LPS
        made.append(
            Slice(
                pixels=np.clip(voxels[level, ::-1], 0, 4095).astype(np.uint16),
                position=[round(float(value), 4) for value in corner],
                orientation=[round(float(value), 6) for value in [*along_row, *down_column]],
                row_column_mm=[round(row_mm, 4), round(column_mm, 4)],
                thickness_mm=round(slice_mm, 4),
            )
        )
    return made


def _scan() -> Path:
    folder = CACHE / "nibabel"
    if not (folder / SCAN).exists():
        uv = os.environ.get("UV") or shutil.which("uv")
        if uv is None:
            raise SystemExit(
                "`make samples` needs uv to fetch nibabel's test files: see https://docs.astral.sh/uv."
            )
        subprocess.run(
            [uv, "pip", "install", "-q", "--target", str(folder), "--no-deps", NIBABEL], check=True
        )
    return folder / SCAN
