"""Whether the slices of a series form a regular volume: what any 3D processing must know first.

Positions and orientation are in the patient system of PS3.3 C.7.6.2.1.1. All results come from minima,
maxima and sorted distances, so that the order of the slices changes no bit of them. A localizer that lies
in the series of its slices is counted and flagged, and the slices are judged without it.
"""

from __future__ import annotations

from functools import reduce

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from medlake.clean.dicom_header import SAME_ORIENTATION
from medlake.clean.imaging_instance import described
from medlake.clean.imaging_study import owner, with_owner

SAME_PLACE_MM = 0.01  # two slices nearer than this are one place scanned twice
EVEN_PART = 0.01  # of the spacing; decimal strings round positions to about this
EVEN_MM = 0.02
GAP_FACTOR = 1.5  # a gap this many times the usual one holds a missing slice
MIN_SLICES = 3  # two slices are always evenly spaced
DRIFT_PART = 0.01  # of the stack's length: sideways drift above it is a tilted gantry
DRIFT_MM = 0.1
PLANES = ("SAGITTAL", "CORONAL", "AXIAL")  # by the axis that the normal is nearest to: x, y, z
UNEVEN = ("slices_doubled", "slices_missing", "slices_uneven")
GEOMETRY_COLUMNS = (
    "series_uid", "study_uid", "person_source_value", "modality", "n_slices", "n_positions", "n_doubled",
    "n_missing", "n_localizers", "orientation", "obliquity_deg", "slice_spacing_mm", "least_spacing_mm",
    "greatest_spacing_mm", "tilt_deg", "has_one_orientation", "has_one_size", "is_evenly_spaced",
    "is_regular_volume", "source", "qc",
)  # fmt: skip


def stage_geometry(objects: DataFrame) -> DataFrame:
    """One row per SeriesInstanceUID with placed slices or localizers, from rows of bronze.dicom_object.

    `qc` holds the names told in `geometry_steps`, and `person_conflict` where instances name several patients.
    """
    series = described(objects).groupBy("series_uid").agg(
        *owner(), F.min("study_uid").alias("study_uid"), F.min("modality").alias("modality"), *geometry_inputs()
    )  # fmt: skip
    placed = series.where((F.col("_n_placed") > 0) | (F.col("n_localizers") > 0))
    judged = reduce(lambda rows, step: rows.withColumns(step), [*geometry_steps(), *_measures()], placed)
    owned = with_owner(judged.withColumn("qc", F.col("geometry_qc")))
    return owned.withColumn("qc", F.array_sort("qc")).select(*GEOMETRY_COLUMNS)


def geometry_inputs() -> list[Column]:
    """Aggregates of a series that `geometry_steps` needs; columns with a leading underscore, and `n_localizers`."""
    slice_ = ~F.col("is_localizer")
    cosines = [F.when(slice_, F.get("image_orientation", i)) for i in range(6)]
    sizes = [F.col("n_rows"), F.col("n_columns"), F.get("pixel_spacing_mm", 0), F.get("pixel_spacing_mm", 1)]
    sizes = [F.when(slice_, size) for size in sizes]
    placed = slice_ & F.col("image_orientation").isNotNull() & (F.size("positions_mm") > 0)
    apart = reduce(Column.__or__, [F.max(c) - F.min(c) > SAME_ORIENTATION for c in cosines])
    return [
        F.flatten(F.collect_list(F.when(placed, F.col("positions_mm")))).alias("_points"),
        F.count_if(placed).alias("_n_placed"),
        F.count_if(F.col("has_pixels") & slice_ & ~placed).alias("_n_unplaced"),
        F.count_if("is_localizer").alias("n_localizers"),
        F.array(*[F.min(c) for c in cosines]).alias("_o"),
        (F.coalesce(apart, F.lit(False)) | F.bool_or(F.col("frames_turn") & slice_)).alias("_mixed"),
        F.coalesce(reduce(Column.__or__, [F.max(s) != F.min(s) for s in sizes]), F.lit(False)).alias("_sizes"),
    ]


def geometry_steps() -> list[dict[str, Column]]:
    """Columns to add one after another to the aggregates: at the end `slice_spacing_mm`,
    `is_regular_volume` and `geometry_qc` (array<string>).

    `is_regular_volume` is null for fewer than three placed slices. Flags: `orientation_mixed`,
    `orientation_invalid`, `size_mixed`, `position_missing`, `slices_doubled`, `slices_missing`,
    `slices_uneven`, `gantry_tilt`, `localizer_in_series`.
    """
    row, column = [F.col("_o")[i] for i in range(3)], [F.col("_o")[i] for i in range(3, 6)]
    normal = [
        row[1] * column[2] - row[2] * column[1],
        row[2] * column[0] - row[0] * column[2],
        row[0] * column[1] - row[1] * column[0],
    ]
    length = F.sqrt(_dot(normal, normal))
    skewed = (F.abs(length - 1) > SAME_ORIENTATION) | (F.abs(_dot(row, column)) > SAME_ORIENTATION)
    return [
        {
            "_normal": F.array(*normal),
            "_skewed": F.coalesce(skewed, F.lit(False)),
            "_depths": _along(normal),
            "_along_row": _along(row),
            "_along_column": _along(column),
        },
        {
            "_judged": (F.size("_points") >= MIN_SLICES) & ~F.col("_mixed") & ~F.col("_skewed"),
            "_gaps": F.zip_with(F.slice("_depths", 2, F.size("_depths")), F.col("_depths"), lambda b, a: b - a),
        },
        {"_steps": F.array_sort(F.filter("_gaps", lambda gap: gap >= SAME_PLACE_MM))},
        {
            "slice_spacing_mm": F.when(
                F.col("_judged"), F.round(F.get("_steps", F.floor((F.size("_steps") - 1) / 2).cast("int")), 4)
            )
        },
        {"geometry_qc": _faults()},
        {
            "is_regular_volume": F.when(
                F.size("_points") >= MIN_SLICES,
                (F.size("geometry_qc") == 0) & F.col("slice_spacing_mm").isNotNull(),
            )
        },
    ]


def _faults() -> Column:
    """Names of what keeps a series from being a regular volume."""
    usual = F.col("slice_spacing_mm")
    tolerance = F.greatest(F.lit(EVEN_MM), usual * EVEN_PART)
    drift = F.greatest(_range("_along_row"), _range("_along_column"))
    allowed = F.greatest(F.lit(DRIFT_MM), _range("_depths") * DRIFT_PART)
    uneven = F.exists("_steps", lambda gap: (F.abs(gap - usual) > tolerance) & (gap <= usual * GAP_FACTOR))
    broken = {
        "orientation_mixed": F.col("_mixed"),
        "orientation_invalid": ~F.col("_mixed") & F.col("_skewed"),
        "size_mixed": F.col("_sizes"),
        "position_missing": (F.col("_n_placed") > 0) & (F.col("_n_unplaced") > 0),
        "localizer_in_series": (F.col("_n_placed") > 0) & (F.col("n_localizers") > 0),
        "slices_doubled": F.col("_judged") & F.exists("_gaps", lambda gap: gap < SAME_PLACE_MM),
        "slices_missing": F.exists("_steps", lambda gap: gap > usual * GAP_FACTOR),
        "slices_uneven": uneven,
        "gantry_tilt": F.col("_judged") & (drift > allowed),
    }
    names = [F.when(F.coalesce(when, F.lit(False)), F.lit(name)) for name, when in broken.items()]
    return F.array_compact(F.array(*names))


def _measures() -> list[dict[str, Column]]:
    """What silver.series_geometry says in numbers, after `geometry_steps`."""
    judged, usual = F.col("_judged"), F.col("slice_spacing_mm")
    placed = (F.size("_points") > 0) & ~F.col("_mixed") & ~F.col("_skewed")
    nearest = F.array(*[F.abs(F.get("_normal", i)) for i in range(3)])
    plane = F.array(*[F.lit(name) for name in PLANES])
    wide = F.filter("_steps", lambda gap: gap > usual * GAP_FACTOR)
    lacking = F.transform(wide, lambda gap: F.round(gap / usual) - 1)
    axis = (F.array_position(nearest, F.array_max(nearest)) - 1).cast("int")
    sideways = F.sqrt(F.pow(_range("_along_row"), 2) + F.pow(_range("_along_column"), 2))
    bad = reduce(Column.__or__, [F.array_contains("geometry_qc", name) for name in UNEVEN])
    n_doubled = F.size(F.filter("_gaps", lambda gap: gap < SAME_PLACE_MM))
    return [
        {
            "n_slices": F.size("_points").cast("bigint"),
            "n_doubled": F.when(judged, n_doubled),
            "n_missing": F.when(judged, F.aggregate(lacking, F.lit(0.0), lambda a, b: a + b).cast("int")),
            "orientation": F.when(placed, F.get(plane, axis)),
            "obliquity_deg": F.when(placed, F.round(F.degrees(F.acos(F.least(F.array_max(nearest), F.lit(1.0)))), 2)),
            "least_spacing_mm": F.when(judged, F.round(F.array_min("_steps"), 4)),
            "greatest_spacing_mm": F.when(judged, F.round(F.array_max("_steps"), 4)),
            "tilt_deg": F.when(judged, F.round(F.degrees(F.atan2(sideways, _range("_depths"))), 2)),
            "has_one_orientation": ~F.col("_mixed"),
            "has_one_size": ~F.col("_sizes"),
            "is_evenly_spaced": F.when(judged, ~bad),
        },
        {"n_positions": F.when(judged, F.size("_points") - F.col("n_doubled"))},
    ]


def _dot(a: list[Column], b: list[Column]) -> Column:
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


def _along(direction: list[Column]) -> Column:
    """Sorted distances of the slices along a direction, in mm."""
    return F.array_sort(F.transform("_points", lambda point: _dot([point[0], point[1], point[2]], direction)))


def _range(sorted_distances: str) -> Column:
    return F.array_max(sorted_distances) - F.array_min(sorted_distances)
