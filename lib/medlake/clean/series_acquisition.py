"""bronze.dicom_object → rows for silver.series_acquisition: how a series was taken, in numbers with units.

Of CT, MR, projection X-ray, ultrasound and PET; single-frame objects and enhanced multi-frame ones alike.
"""

from __future__ import annotations

from collections.abc import Iterable

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from medlake.clean.acquisition_words import (
    CENTIMETRES,
    CODE,
    CODE_LISTS,
    CODES,
    FRAME_TIME,
    IMAGER_SPACING,
    INJECTED_AT,
    MEANING,
    MEDIANS,
    N_FRAMES,
    NUCLIDE,
    NUMBERS,
    PHARMACEUTICAL,
    REGION_STEP_X,
    REGION_STEP_Y,
    REGION_UNIT_X,
    REGION_UNIT_Y,
    REGIONS,
    SEVERAL,
    TEXTS,
    Place,
)
from medlake.clean.dicom_header import FRAME_GROUPS, LEAF, SHARED_GROUPS, finite, newest, sequence
from medlake.clean.imaging_study import owner, with_owner

TAKEN = ("CT", "MR", "CR", "DX", "MG", "US", "PT")  # the modalities that have a row here
CODED = r"^[A-Z0-9_ ]{1,16}$"  # CS, PS3.5 6.2
MAX_RATE_HZ = 10_000.0  # frames a second above it are a slip of the pen
MADE = ("radionuclide", "injected_at", "imager_pixel_spacing_mm", "us_pixel_spacing_mm")  # of several elements
FOREIGN = ("series_uid", "study_uid", "person_source_value", "modality", "n_instances", "source", "qc")


def stage_acquisitions(objects: DataFrame) -> DataFrame:
    """One row per SeriesInstanceUID of the modalities in `TAKEN`, from rows of bronze.dicom_object.

    Where the instances disagree on a setting the least counts and `varies_<column>` is flagged; doses and currents,
    which follow the patient, are medians. Flags: `type_<column>` where what is given is no number, and
    `person_conflict` where instances name several patients.
    """
    kinds = newest(objects).withColumn("modality", F.upper(F.trim("modality")))
    told = _words(kinds.where(F.col("modality").isin(*TAKEN)))
    scalars = [*NUMBERS, *CODES, *CODE_LISTS, *TEXTS, *MADE]
    series = told.groupBy("series_uid").agg(
        *owner(),
        F.min("study_uid").alias("study_uid"),
        F.min("modality").alias("modality"),
        F.count("*").alias("n_instances"),
        *[F.min(name).alias(name) for name in scalars],
        *[F.median(name).alias(name) for name in MEDIANS],
        *[F.array_sort(F.array_distinct(F.flatten(F.collect_list(name)))).alias(name) for name in SEVERAL],
        *[F.max(name).alias(name) for name in ("n_frames", "n_regions")],
        F.array_distinct(F.flatten(F.collect_set("qc"))).alias("qc"),
        F.array_compact(F.array(*[_varies(name) for name in NUMBERS])).alias("_varies"),
    )
    known = [*scalars, *MEDIANS, "n_frames", "n_regions"]
    flagged = with_owner(series).withColumn("qc", F.array_sort(F.array_distinct(F.concat("qc", "_varies"))))
    lists = {name: F.when(F.size(name) > 0, F.col(name)) for name in (*SEVERAL, *CODE_LISTS)}
    return flagged.withColumns(lists).select(*FOREIGN, *known, *SEVERAL)


def _varies(name: str) -> Column:
    return F.when(F.min(name) != F.max(name), F.lit(f"varies_{name}"))


def _words(objects: DataFrame) -> DataFrame:
    """Every word of `acquisition_words` for each instance, typed; `person_source_value` and `qc` beside them."""
    numbers = NUMBERS | MEDIANS
    raw = objects.withColumn("_h", F.from_json("header_json", _ddl()))
    typed = {name: _number(places) for name, places in numbers.items()}
    held = {name: _text(places).isNotNull() for name, places in numbers.items()}
    flags = [F.when(there & typed[name].isNull(), F.lit(f"type_{name}")) for name, there in held.items()]
    rate = F.coalesce(typed.pop("frame_rate_hz"), 1000 / F.nullif(_number((Place(FRAME_TIME),)), F.lit(0.0)))
    made = {
        **typed,
        "frame_rate_hz": F.when((rate > 0) & (rate < MAX_RATE_HZ), rate),
        "kvp": F.when(typed["kvp"] > 0, typed["kvp"]),
        **{name: _all(places) for name, places in SEVERAL.items()},
        **{name: _coded(_text(places)) for name, places in CODES.items()},
        **{name: _list(tag) for name, tag in CODE_LISTS.items()},
        **{name: F.nullif(F.trim(_text(places)), F.lit("")) for name, places in TEXTS.items()},
        "radionuclide": _nuclide(),
        "injected_at": F.try_to_timestamp(
            F.substring(_text((Place(INJECTED_AT, PHARMACEUTICAL),)), 1, 14), F.lit("yyyyMMddHHmmss")
        ),
        "imager_pixel_spacing_mm": _pair(F.col("_h")[IMAGER_SPACING]["Value"]),
        "n_frames": _text((Place(N_FRAMES),)).try_cast("int"),
        "n_regions": F.when(F.size(_regions()) > 0, F.size(_regions())),
        "us_pixel_spacing_mm": _region_spacing(),
    }
    return raw.select(
        "series_uid", "study_uid", "source", "modality", F.trim("patient_key").alias("person_source_value"),
        *[column.alias(name) for name, column in made.items()], F.array_compact(F.array(*flags)).alias("qc"),
    )  # fmt: skip


def _ddl() -> str:
    places = [p for words in (NUMBERS, MEDIANS, SEVERAL, CODES, TEXTS) for said in words.values() for p in said]
    own = {p.tag for p in places if p.macro is None} | {*CODE_LISTS.values(), IMAGER_SPACING, FRAME_TIME, N_FRAMES}
    macros = {
        macro: sequence(dict.fromkeys(sorted({p.tag for p in places if p.macro == macro}), LEAF))
        for macro in sorted({p.macro for p in places if p.macro and p.macro != PHARMACEUTICAL})
    }
    drug = {p.tag: LEAF for p in places if p.macro == PHARMACEUTICAL} | {INJECTED_AT: LEAF}
    region = dict.fromkeys((REGION_UNIT_X, REGION_UNIT_Y, REGION_STEP_X, REGION_STEP_Y), LEAF)
    top = {
        **dict.fromkeys(sorted(own), LEAF),
        PHARMACEUTICAL: sequence({**drug, NUCLIDE: sequence({CODE: LEAF, MEANING: LEAF})}),
        REGIONS: sequence(region),
        SHARED_GROUPS: sequence(macros),
        FRAME_GROUPS: sequence(macros),
    }
    return ", ".join(f"`{tag}` {ddl}" for tag, ddl in top.items())


def _leaves(place: Place) -> list[Column]:
    """The arrays of values that may stand at a place, the likeliest first; of frames the first."""
    if place.macro is None:
        return [F.col("_h")[place.tag]["Value"]]
    if place.macro == PHARMACEUTICAL:
        return [_first(F.col("_h"), PHARMACEUTICAL)[place.tag]["Value"]]
    groups = [F.get(F.col("_h")[group]["Value"], 0) for group in (SHARED_GROUPS, FRAME_GROUPS)]
    return [_first(group, place.macro)[place.tag]["Value"] for group in groups]


def _first(item: Column, sequence_tag: str) -> Column:
    return F.get(item[sequence_tag]["Value"], 0)


def _text(places: Iterable[Place]) -> Column:
    return F.coalesce(*[F.get(leaf, 0) for place in places for leaf in _leaves(place)])


def _number(places: Iterable[Place]) -> Column:
    found = [
        finite(F.get(leaf, 0).try_cast("double")) * (1 if place.factor == 1 else F.lit(place.factor))
        for place in places
        for leaf in _leaves(place)
    ]
    return F.coalesce(*found)


def _all(places: Iterable[Place]) -> Column:
    """Every number at these places, of all frames."""
    parts = []
    for place in places:
        if place.macro is None:
            parts.append(F.col("_h")[place.tag]["Value"])
            continue
        macro, tag = place.macro, place.tag
        for group in (SHARED_GROUPS, FRAME_GROUPS):
            items = F.col("_h")[group]["Value"]
            parts.append(F.transform(items, lambda item: F.get(_first(item, macro)[tag]["Value"], 0)))  # noqa: B023
    texts = F.concat(*[F.coalesce(part, F.array().cast("array<string>")) for part in parts])
    return F.array_compact(F.transform(texts, lambda text: finite(text.try_cast("double"))))


def _coded(text: Column) -> Column:
    upper = F.upper(F.trim(text))
    return F.when(upper.rlike(CODED), F.nullif(upper, F.lit("")))


def _list(tag: str) -> Column:
    return F.array_compact(F.transform(F.col("_h")[tag]["Value"], _coded))


def _pair(values: Column) -> Column:
    numbers = F.array_compact(F.transform(values, lambda text: finite(text.try_cast("double"))))
    return F.when(F.size(numbers) == 2, numbers)


def _nuclide() -> Column:
    """The code of the radionuclide, e.g. C-111A1 (SRT) or 77004003 (SCT): a term of a vocabulary, no free text."""
    code = F.get(_first(_first(F.col("_h"), PHARMACEUTICAL), NUCLIDE)[CODE]["Value"], 0)
    return F.when(code.rlike(r"^[A-Za-z0-9.^-]{1,16}$"), code)


def _regions() -> Column:
    return F.col("_h")[REGIONS]["Value"]


def _region_spacing() -> Column:
    """Row and column spacing in mm of the first region that is measured in centimetres both ways."""
    units = (REGION_UNIT_X, REGION_UNIT_Y)
    spatial = F.filter(_regions(), lambda r: _both(r, units))
    steps = [F.get(F.get(spatial, 0)[tag]["Value"], 0).try_cast("double") for tag in (REGION_STEP_Y, REGION_STEP_X)]
    both = steps[0].isNotNull() & steps[1].isNotNull()
    return F.when(both, F.array(*[F.round(F.abs(step) * 10, 6) for step in steps]))


def _both(region: Column, units: tuple[str, str]) -> Column:
    return (F.get(region[units[0]]["Value"], 0) == CENTIMETRES) & (F.get(region[units[1]]["Value"], 0) == CENTIMETRES)
