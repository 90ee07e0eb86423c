"""silver.series_geometry: what the slices of constructed series say, in words and in numbers."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pyspark.sql import DataFrame
from tests.tables import assert_rows

from medlake.clean.image_occurrence import stage_series
from medlake.clean.series_geometry import stage_geometry

AXIAL, SAGITTAL, CORONAL = [1, 0, 0, 0, 1, 0], [0, 1, 0, 0, 0, -1], [1, 0, 0, 0, 0, -1]
TILT = math.radians(20)
TILTED = [1, 0, 0, 0, math.cos(TILT), math.sin(TILT)]  # the gantry leans, the table still moves along z
TURNED = [math.cos(TILT), math.sin(TILT), 0, 0, 0, -1]  # a coronal plane turned about the body's axis
SCOUT = {"ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"]}


def slices(series: str, depths: list[float], orientation: list[float] = AXIAL, axis: int = 2, **also: Any) -> list[dict[str, Any]]:
    made = []
    for depth in depths:
        position = [0.0, 0.0, 0.0]
        position[axis] = depth
        made.append({"SeriesInstanceUID": series, "ImageOrientationPatient": orientation, "ImagePositionPatient": position, **also})
    return made


def frames(series: str, planes: list[tuple[list[float], list[float]]]) -> dict[str, Any]:
    """One enhanced object: (orientation, position) of each frame."""
    groups = []
    for orientation, position in planes:
        group, plane, turn = Dataset(), Dataset(), Dataset()
        plane.ImagePositionPatient, turn.ImageOrientationPatient = position, orientation
        group.PlanePositionSequence, group.PlaneOrientationSequence = Sequence([plane]), Sequence([turn])
        groups.append(group)
    return {
        "SeriesInstanceUID": series, "ImageOrientationPatient": None, "ImagePositionPatient": None,
        "NumberOfFrames": len(planes), "PixelData": bytes(8 * len(planes)), "PerFrameFunctionalGroupsSequence": Sequence(groups),
    }  # fmt: skip


SERIES: list[dict[str, Any]] = [
    *slices("1.1", [0, 2.5, 5, 7.5, 10]),  # a whole stack
    *slices("1.2", [0, 2.5, 10, 12.5, 15, 17.5]),  # two are missing at one place
    *slices("1.3", [0, 2.5, 2.5, 5, 5, 7.5]),  # two lie twice
    *slices("1.4", [0, 2.5, 5]), *slices("1.4", [0, 2.5, 5], SAGITTAL, axis=0),  # two ways
    *slices("1.5", [0, 5, 10, 15], TILTED),  # a tilted gantry
    *slices("1.6", [0, 2.5, 5.5, 8, 10.2, 12.9]),  # no two distances alike
    *slices("1.7", [3]),  # one slice
    *slices("1.8", [0, 2.5, 5, 7.5]), *slices("1.8", [50], CORONAL, axis=1, **SCOUT),  # its scout lies among them
    *slices("1.9", [10, 20], CORONAL, axis=1, **SCOUT), *slices("1.9", [5], SAGITTAL, axis=0, **SCOUT),  # nothing but scouts
    *[{**s, "ImagePositionPatient": [-z * math.sin(TILT), z * math.cos(TILT), 0]}
      for z, s in zip([0, 3, 6], slices("2.1", [0, 3, 6], TURNED), strict=True)],  # oblique, yet regular
    frames("2.2", [(AXIAL, [0, 0, z]) for z in (0.0, 1.5, 3.0, 4.5)]),
    frames("2.3", [(AXIAL, [0, 0, 0]), (AXIAL, [0, 0, 1.5]), (SAGITTAL, [3, 0, 0]), (CORONAL, [0, 3, 0])]),  # frames turn
    {"SeriesInstanceUID": "2.4", "ImageOrientationPatient": None, "ImagePositionPatient": None},  # not placed: no row
    *slices("2.5", [0, 2, 4]), *slices("2.5", [6], Rows=4, PixelData=bytes(16)),  # two sizes
    *slices("2.6", [0, -2.5, -5, -12.5]),  # down the body, one gap of two
]  # fmt: skip


@pytest.fixture(scope="module")
def objects(bronze: Callable[..., DataFrame]) -> DataFrame:
    return bronze(*[dict(one) for one in SERIES])


def test_flags_and_verdicts(objects: DataFrame) -> None:
    assert_rows(stage_geometry(objects), """
        series_uid | n_slices | is_regular_volume | is_evenly_spaced | has_one_orientation | has_one_size | qc
        1.1        | 5        | true              | true             | true                | true         | []
        1.2        | 6        | false             | false            | true                | true         | [slices_missing]
        1.3        | 6        | false             | false            | true                | true         | [slices_doubled]
        1.4        | 6        | false             | null             | false               | true         | [orientation_mixed]
        1.5        | 4        | false             | true             | true                | true         | [gantry_tilt]
        1.6        | 6        | false             | false            | true                | true         | [slices_uneven]
        1.7        | 1        | null              | null             | true                | true         | []
        1.8        | 4        | false             | true             | true                | true         | [localizer_in_series]
        1.9        | 0        | null              | null             | true                | true         | []
        2.1        | 3        | true              | true             | true                | true         | []
        2.2        | 4        | true              | true             | true                | true         | []
        2.3        | 4        | false             | null             | false               | true         | [orientation_mixed]
        2.5        | 4        | false             | true             | true                | false        | [size_mixed]
        2.6        | 4        | false             | false            | true                | true         | [slices_missing]
    """)


def test_numbers(objects: DataFrame) -> None:
    assert_rows(stage_geometry(objects), """
        series_uid | orientation | obliquity_deg | slice_spacing_mm | least_spacing_mm | greatest_spacing_mm | n_positions | n_doubled | n_missing | n_localizers | tilt_deg
        1.1        | AXIAL       | 0.0           | 2.5              | 2.5              | 2.5                 | 5           | 0         | 0         | 0            | 0.0
        1.2        | AXIAL       | 0.0           | 2.5              | 2.5              | 7.5                 | 6           | 0         | 2         | 0            | 0.0
        1.3        | AXIAL       | 0.0           | 2.5              | 2.5              | 2.5                 | 4           | 2         | 0         | 0            | 0.0
        1.4        | null        | null          | null             | null             | null                | null        | null      | null      | 0            | null
        1.5        | AXIAL       | 20.0          | 4.6985           | 4.6985           | 4.6985              | 4           | 0         | 0         | 0            | 20.0
        1.6        | AXIAL       | 0.0           | 2.5              | 2.2              | 3.0                 | 6           | 0         | 0         | 0            | 0.0
        1.7        | AXIAL       | 0.0           | null             | null             | null                | null        | null      | null      | 0            | null
        1.8        | AXIAL       | 0.0           | 2.5              | 2.5              | 2.5                 | 4           | 0         | 0         | 1            | 0.0
        1.9        | null        | null          | null             | null             | null                | null        | null      | null      | 3            | null
        2.1        | CORONAL     | 20.0          | 3.0              | 3.0              | 3.0                 | 3           | 0         | 0         | 0            | 0.0
        2.2        | AXIAL       | 0.0           | 1.5              | 1.5              | 1.5                 | 4           | 0         | 0         | 0            | 0.0
        2.3        | null        | null          | null             | null             | null                | null        | null      | null      | 0            | null
        2.5        | AXIAL       | 0.0           | 2.0              | 2.0              | 2.0                 | 4           | 0         | 0         | 0            | 0.0
        2.6        | AXIAL       | 0.0           | 2.5              | 2.5              | 7.5                 | 4           | 0         | 2         | 0            | 0.0
    """)


def test_the_series_says_the_same(objects: DataFrame) -> None:
    told = {r["series_uid"]: (r["is_regular_volume"], r["slice_spacing_mm"]) for r in stage_series(objects).collect()}
    own = {r["series_uid"]: (r["is_regular_volume"], r["slice_spacing_mm"]) for r in stage_geometry(objects).collect()}
    assert {uid: told[uid] for uid in own} == own
    assert set(told) - set(own) == {"2.4"}


def test_the_order_of_slices_changes_no_bit(objects: DataFrame) -> None:
    told = sorted(stage_geometry(objects.coalesce(1)).collect())
    assert sorted(stage_geometry(objects.orderBy("content_sha256").repartition(5)).collect()) == told
