"""The words of a DICOM header that silver needs, read from the JSON model by Spark's own JSON parser.

A name here is a silver column; its tag is in PS3.6. A header value that cannot be read as its type is
null and its column gets the flag `type_<column>`; the object is kept.
"""

from __future__ import annotations

from collections.abc import Mapping

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

TEXTS = {
    "study_description": "00081030",
    "series_description": "0008103E",
    "protocol": "00181030",
    "body_part": "00180015",
    "series_laterality": "00200060",
    "image_laterality": "00200062",
    "manufacturer": "00080070",
    "model": "00081090",
    "photometric_interpretation": "00280004",
    "burned_in_annotation": "00280301",
    "recognizable_features": "00280302",
    "study_date": "00080020",
    "study_time": "00080030",
    "series_date": "00080021",
    "series_time": "00080031",
    "utc_offset": "00080201",
}
INTEGERS = {
    "instance_number": "00200013",
    "n_frames": "00280008",
    "n_rows": "00280010",
    "n_columns": "00280011",
    "bits_stored": "00280101",
}
NUMBERS = {
    "kvp": "00180060",
    "rescale_intercept": "00281052",
    "rescale_slope": "00281053",
    "window_center": "00281050",  # the first where several are given
    "window_width": "00281051",
}
VECTORS = {"image_position_mm": ("00200032", 3), "image_orientation": ("00200037", 6)}
SPACING, THICKNESS = "00280030", "00180050"
IMAGE_TYPE, LOCALIZER = "00080008", "LOCALIZER"  # PS3.3 C.7.6.1.1.2 and C.8.2.1.1.1: value 3 of a scout image
SAME_ORIENTATION = 1e-3  # of a direction cosine
SHARED_GROUPS, FRAME_GROUPS = "52009229", "52009230"  # functional groups of enhanced multi-frame objects
MEASURES, PLANE_POSITION, PLANE_ORIENTATION = "00289110", "00209113", "00209116"

LEAF = "STRUCT<Value: ARRAY<STRING>, InlineBinary: STRING>"


def sequence(items: Mapping[str, str]) -> str:
    """The DDL of a sequence whose items have these elements (tag → DDL)."""
    fields = ", ".join(f"`{tag}`: {ddl}" for tag, ddl in items.items())
    return f"STRUCT<Value: ARRAY<STRUCT<{fields}>>>"


def _header_ddl() -> str:
    leaves = [*TEXTS.values(), *INTEGERS.values(), *NUMBERS.values(), SPACING, THICKNESS, IMAGE_TYPE]
    leaves += [tag for tag, _ in VECTORS.values()]
    measures = sequence({SPACING: LEAF, THICKNESS: LEAF})
    orientation = sequence({VECTORS["image_orientation"][0]: LEAF})
    position = sequence({VECTORS["image_position_mm"][0]: LEAF})
    frame = {MEASURES: measures, PLANE_POSITION: position, PLANE_ORIENTATION: orientation}
    groups = {
        SHARED_GROUPS: sequence({MEASURES: measures, PLANE_ORIENTATION: orientation}),
        FRAME_GROUPS: sequence(frame),
    }
    return ", ".join(f"`{tag}` {ddl}" for tag, ddl in (dict.fromkeys(leaves, LEAF) | groups).items())


def newest(objects: DataFrame) -> DataFrame:
    """One row per SOP instance: the last received version (highest batch, then file, member, row)."""
    rank = ("batch", "file", "member", "row", "source", "content_sha256")
    last = Window.partitionBy("sop_instance_uid").orderBy(*[F.desc(name) for name in rank])
    return objects.withColumn("_version", F.row_number().over(last)).where("_version = 1").drop("_version")


def with_header(objects: DataFrame) -> DataFrame:
    """Adds every column named in this module and `qc` (the `type_` flags), and drops `header_json`.

    Grain: unchanged. Units: mm where the name says so, kV for `kvp`; times are UTC where the header
    gives an offset, and taken as UTC where it gives none. Empty texts are null. `frames_turn`: the frames of an
    enhanced object do not all lie the same way. `is_localizer`: Image Type says so.
    """
    parsed = objects.withColumn("_h", F.from_json("header_json", _header_ddl()))
    texts = {name: F.nullif(F.trim(_text(tag)), F.lit("")) for name, tag in TEXTS.items()}
    integers = {name: _text(tag).try_cast("int") for name, tag in INTEGERS.items()}
    numbers = {name: finite(_text(tag).try_cast("double")) for name, tag in NUMBERS.items()}
    vectors = {name: _vector(F.col("_h")[tag], size) for name, (tag, size) in VECTORS.items()}
    return (
        parsed.withColumns({**texts, **integers, **numbers, **vectors})
        .withColumns(_of_enhanced())
        .withColumns({"study_at": _moment("study"), "series_at": _moment("series")})
        .withColumn("qc", _type_flags())
        .drop("_h", "header_json", "study_date", "study_time", "series_date", "series_time", "utc_offset")
    )


def _of_enhanced() -> dict[str, Column]:
    """Geometry from the top level, or from the functional groups of an enhanced multi-frame object."""
    shared, frames = F.get(F.col("_h")[SHARED_GROUPS]["Value"], 0), F.col("_h")[FRAME_GROUPS]["Value"]
    measures = F.coalesce(_first(shared, MEASURES), _first(F.get(frames, 0), MEASURES))
    orientation = F.coalesce(_first(shared, PLANE_ORIENTATION), _first(F.get(frames, 0), PLANE_ORIENTATION))
    (tag, size), (cosines, n_cosines) = VECTORS["image_position_mm"], VECTORS["image_orientation"]
    of_frames = F.filter(
        F.transform(frames, lambda frame: _vector(_first(frame, PLANE_POSITION)[tag], size)),
        lambda position: position.isNotNull(),
    )
    turned = F.filter(
        F.transform(frames, lambda frame: _vector(_first(frame, PLANE_ORIENTATION)[cosines], n_cosines)),
        lambda one: one.isNotNull(),
    )
    own = F.array_compact(F.array("image_position_mm"))
    positions = F.when(F.coalesce(F.size(of_frames), F.lit(0)) > 0, of_frames).otherwise(own)
    return {
        "positions_mm": positions,
        "frames_turn": F.coalesce(F.exists(turned, lambda one: _differs(one, F.get(turned, 0))), F.lit(False)),
        "is_localizer": F.coalesce(
            F.exists(F.col("_h")[IMAGE_TYPE]["Value"], lambda term: F.upper(F.trim(term)) == LOCALIZER), F.lit(False)
        ),
        "image_position_mm": F.get(positions, 0),
        "image_orientation": F.coalesce("image_orientation", _vector(orientation[cosines], n_cosines)),
        "pixel_spacing_mm": F.coalesce(_vector(F.col("_h")[SPACING], 2), _vector(measures[SPACING], 2)),
        "slice_thickness_mm": finite(
            F.coalesce(_text(THICKNESS), F.get(measures[THICKNESS]["Value"], 0)).try_cast("double")
        ),
        "laterality": F.coalesce("series_laterality", "image_laterality"),
    }


def _text(tag: str) -> Column:
    return F.get(F.col("_h")[tag]["Value"], 0)


def _first(item: Column, sequence: str) -> Column:
    """The first item of a sequence within an item."""
    return F.get(item[sequence]["Value"], 0)


def finite(number: Column) -> Column:
    """The number; null where it is infinite or none."""
    return F.when(F.abs(number) < float("inf"), number)


def _differs(one: Column, other: Column) -> Column:
    return F.exists(F.zip_with(one, other, lambda a, b: F.abs(a - b)), lambda gap: gap > SAME_ORIENTATION)


def _vector(leaf: Column, size: int) -> Column:
    """The values of a leaf as `size` finite doubles; null when there are not as many."""
    numbers = F.transform(leaf["Value"], lambda text: finite(text.try_cast("double")))
    return F.when((F.size(numbers) == size) & ~F.exists(numbers, lambda x: x.isNull()), numbers)


def _moment(of: str) -> Column:
    """DA and TM (PS3.5 6.2) as a UTC timestamp; a time that is no time leaves midnight, a date null."""
    day = F.regexp_replace(f"{of}_date", r"\.", "")
    clock = F.rpad(F.regexp_replace(F.regexp_replace(f"{of}_time", r"\..*$", ""), ":", ""), 6, "0")
    offset = F.when(F.col("utc_offset").rlike(r"^[+-]\d{4}$"), F.col("utc_offset")).otherwise(F.lit("+0000"))
    form = F.lit("yyyyMMddHHmmssxx")
    return F.coalesce(
        F.try_to_timestamp(F.concat(day, clock, offset), form),
        F.try_to_timestamp(F.concat(day, F.lit("000000"), offset), form),
    )


def _type_flags() -> Column:
    """`type_<column>` where the header holds something that could not be read as the column's type."""
    tags = {name: tag for name, (tag, _) in VECTORS.items()} | INTEGERS | NUMBERS
    tags |= {"pixel_spacing_mm": SPACING, "slice_thickness_mm": THICKNESS}
    held = {
        name: F.coalesce(_text(tag), F.col("_h")[tag]["InlineBinary"]).isNotNull()
        for name, tag in tags.items()
    }
    held |= {"study_at": F.col("study_date").isNotNull(), "series_at": F.col("series_date").isNotNull()}
    flags = [F.when(there & F.col(name).isNull(), F.lit(f"type_{name}")) for name, there in held.items()]
    return F.array_compact(F.array(*flags))
