"""Whether the slices of a series form a regular volume, and why not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from pyspark.sql import DataFrame, Row
from tests.tables import parsed

from medlake.clean.image_occurrence import stage_series

AXIAL = [1, 0, 0, 0, 1, 0]
OBLIQUE = [0.8, 0.6, 0, 0, 0, -1]  # normal (-0.6, 0.8, 0): slices march across x and y
SAGITTAL = [0, 1, 0, 0, 0, -1]


def stack(
    series: str, positions: list[list[float] | None], orientation: list[float], **also: Any
) -> list[dict[str, Any]]:
    of_all = {"SeriesInstanceUID": f"9.{series}", "ImageOrientationPatient": orientation, **also}
    return [of_all | {"ImagePositionPatient": position} for position in positions]


def along_z(*depths: float) -> list[list[float] | None]:
    return [[0.0, 0.0, z] for z in depths]


# series | slices | regular | spacing | flags
CASES: list[tuple[str, list[dict[str, Any]], bool | None, float | None, list[str]]] = [
    ("1", stack("1", along_z(0, 2.5, 5, 7.5), AXIAL), True, 2.5, []),
    ("2", stack("2", along_z(7.5, 0, 5, 2.5), AXIAL), True, 2.5, []),
    ("3", stack("3", along_z(0, 2.5, 7.5, 10), AXIAL), False, 2.5, ["slices_missing"]),
    ("4", stack("4", along_z(0, 2.5, 2.5, 5), AXIAL), False, 2.5, ["slices_doubled"]),
    ("5", stack("5", along_z(0, 2.5, 5.5, 8), AXIAL), False, 2.5, ["slices_uneven"]),
    ("6", stack("6", [[0, k * 1.0, k * 2.5] for k in range(4)], AXIAL), False, 2.5, ["gantry_tilt"]),
    ("7", stack("7", along_z(0, 2.5), AXIAL) + stack("7", along_z(5), SAGITTAL),
     False, None, ["orientation_mixed"]),
    ("8", stack("8", [[-1.8 * k, 2.4 * k, 0] for k in range(4)], OBLIQUE), True, 3.0, []),
    ("9", stack("9", along_z(0, 2.5), AXIAL), None, None, []),
    ("10", stack("10", along_z(0, 2.5, 5), [1, 0, 0, 0.5, 0.5, 0]), False, None, ["orientation_invalid"]),
    ("11", stack("11", along_z(0, 2.5, 5), AXIAL)
     + stack("11", along_z(7.5), AXIAL, Rows=4, PixelData=bytes(16)),
     False, 2.5, ["size_mixed"]),
    ("12", stack("12", along_z(0, 2.5, 5), AXIAL) + stack("12", [None], AXIAL),
     False, 2.5, ["position_missing"]),
    ("13", stack("13", along_z(0, 2.503, 4.998, 7.5), AXIAL), True, 2.502, []),  # rounded decimal strings
]  # fmt: skip


@pytest.fixture(scope="module")
def volumes(bronze: Callable[..., DataFrame]) -> DataFrame:
    return bronze(*[dict(one) for _, slices, _, _, _ in CASES for one in slices])


@pytest.fixture(scope="module")
def judged(volumes: DataFrame) -> dict[str, Row]:
    return {row["series_uid"]: row for row in stage_series(volumes.coalesce(1)).collect()}


@pytest.mark.parametrize(("series", "regular", "spacing", "flags"), [(c[0], *c[2:]) for c in CASES])
def test_geometry(
    judged: dict[str, Row], series: str, regular: bool | None, spacing: float | None, flags: list[str]
) -> None:
    row = judged[f"9.{series}"]
    assert (row["is_regular_volume"], row["slice_spacing_mm"], row["qc"]) == (regular, spacing, flags)


def test_each_flag_of_a_series(judged: dict[str, Row]) -> None:
    _, cells = parsed("""
        series | what it is                      | qc
        1      | a whole stack                   | []
        3      | a slice did not come            | [slices_missing]
        4      | a slice came twice              | [slices_doubled]
        5      | a slice is out of step          | [slices_uneven]
        6      | the scanner was tilted          | [gantry_tilt]
        7      | a slice of another direction    | [orientation_mixed]
        10     | rows and columns askew          | [orientation_invalid]
        11     | a smaller slice                 | [size_mixed]
        12     | a slice without a place         | [position_missing]
    """)
    for series, told, flags in cells:
        assert str(judged[f"9.{series}"]["qc"]).replace("'", "") == flags, told


def test_the_order_of_slices_changes_no_bit(volumes: DataFrame, judged: dict[str, Row]) -> None:
    shuffled = stage_series(volumes.orderBy("content_sha256").repartition(5)).collect()
    assert {row["series_uid"]: row for row in shuffled} == judged
