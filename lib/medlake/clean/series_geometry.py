"""Whether the slices of a series form a regular volume: what any 3D processing must know first.

Positions and orientation are in the patient system of PS3.3 C.7.6.2.1.1. All results come from minima,
maxima and sorted distances, so that the order of the slices changes no bit of them.
"""

from __future__ import annotations

from functools import reduce

from pyspark.sql import Column
from pyspark.sql import functions as F

SAME_PLACE_MM = 0.01  # two slices nearer than this are one place scanned twice
EVEN_PART = 0.01  # of the spacing; decimal strings round positions to about this
EVEN_MM = 0.02
GAP_FACTOR = 1.5  # a gap this many times the usual one holds a missing slice
SAME_ORIENTATION = 1e-3  # of a direction cosine
MIN_SLICES = 3  # two slices are always evenly spaced
DRIFT_PART = 0.01  # of the stack's length: sideways drift above it is a tilted gantry
DRIFT_MM = 0.1



def geometry_inputs() -> list[Column]:
    """Aggregates of a series that `geometry_steps` needs; columns with a leading underscore."""
    cosines = [F.get("image_orientation", i) for i in range(6)]
    sizes = [F.col("n_rows"), F.col("n_columns"), F.get("pixel_spacing_mm", 0), F.get("pixel_spacing_mm", 1)]
    placed = F.col("image_orientation").isNotNull() & (F.size("positions_mm") > 0)
    return [
        F.flatten(F.collect_list(F.when(placed, F.col("positions_mm")))).alias("_points"),
        F.count_if(placed).alias("_n_placed"),
        F.count_if(F.col("has_pixels") & ~placed).alias("_n_unplaced"),
        F.array(*[F.min(c) for c in cosines]).alias("_o"),
        reduce(Column.__or__, [F.max(c) - F.min(c) > SAME_ORIENTATION for c in cosines]).alias("_mixed"),
        reduce(Column.__or__, [F.max(s) != F.min(s) for s in sizes]).alias("_sizes"),
    ]


def geometry_steps() -> list[dict[str, Column]]:
    """Columns to add one after another to the aggregates: at the end `slice_spacing_mm`,
    `is_regular_volume` and `geometry_qc` (array<string>).

    `is_regular_volume` is null for fewer than three placed slices. Flags: `orientation_mixed`,
    `orientation_invalid`, `size_mixed`, `position_missing`, `slices_doubled`, `slices_missing`,
    `slices_uneven`, `gantry_tilt`.
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
            "_judged": (F.size("_points") >= MIN_SLICES) & ~F.col("_mixed") & ~skewed,
            "_depths": _along(normal),
            "_along_row": _along(row),
            "_along_column": _along(column),
        },
        {"_gaps": F.zip_with(F.slice("_depths", 2, F.size("_depths")), F.col("_depths"), lambda b, a: b - a)},
        {"_steps": F.array_sort(F.filter("_gaps", lambda gap: gap >= SAME_PLACE_MM))},
        {
            "slice_spacing_mm": F.when(
                F.col("_judged"), F.round(F.get("_steps", F.floor((F.size("_steps") - 1) / 2).cast("int")), 4)
            )
        },
        {"geometry_qc": _faults(skewed)},
        {
            "is_regular_volume": F.when(
                F.size("_points") >= MIN_SLICES,
                (F.size("geometry_qc") == 0) & F.col("slice_spacing_mm").isNotNull(),
            )
        },
    ]


def _faults(skewed: Column) -> Column:
    """Names of what keeps a series from being a regular volume; `skewed`: the cosines are no right angle."""
    usual = F.col("slice_spacing_mm")
    tolerance = F.greatest(F.lit(EVEN_MM), usual * EVEN_PART)
    drift = F.greatest(_range("_along_row"), _range("_along_column"))
    allowed = F.greatest(F.lit(DRIFT_MM), _range("_depths") * DRIFT_PART)
    uneven = F.exists("_steps", lambda gap: (F.abs(gap - usual) > tolerance) & (gap <= usual * GAP_FACTOR))
    broken = {
        "orientation_mixed": F.col("_mixed"),
        "orientation_invalid": ~F.col("_mixed") & skewed,
        "size_mixed": F.col("_sizes"),
        "position_missing": (F.col("_n_placed") > 0) & (F.col("_n_unplaced") > 0),
        "slices_doubled": F.col("_judged") & F.exists("_gaps", lambda gap: gap < SAME_PLACE_MM),
        "slices_missing": F.exists("_steps", lambda gap: gap > usual * GAP_FACTOR),
        "slices_uneven": uneven,
        "gantry_tilt": F.col("_judged") & (drift > allowed),
    }
    names = [F.when(F.coalesce(when, F.lit(False)), F.lit(name)) for name, when in broken.items()]
    return F.array_compact(F.array(*names))


def _dot(a: list[Column], b: list[Column]) -> Column:
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


def _along(direction: list[Column]) -> Column:
    """Sorted distances of the slices along a direction, in mm."""
    return F.array_sort(F.transform("_points", lambda point: _dot([point[0], point[1], point[2]], direction)))


def _range(sorted_distances: str) -> Column:
    return F.array_max(sorted_distances) - F.array_min(sorted_distances)
