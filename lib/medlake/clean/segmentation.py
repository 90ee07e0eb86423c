"""Marks in the headers of SEG and RTSTRUCT objects: segments (PS3.3 C.8.20) and regions (C.8.8.5, C.8.8.6, C.8.8.8)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from medlake.clean.contours import Points, box, volume_ml
from medlake.clean.header_json import Item, below, code, item, items, number_of, numbers, text, uids

SOP_UID, SERIES_UID = "00081155", "0020000E"
SHARED, FRAMES = "52009229", "52009230"
SOURCE_IMAGES = ("00089124", "00082112")  # derivation image › source image
ALGORITHMS = frozenset({"AUTOMATIC", "SEMIAUTOMATIC", "MANUAL"})
CLOSED = "CLOSED_PLANAR"
INTERPRETED = frozenset(  # RT ROI Interpreted Type, PS3.3 C.8.8.8
    (
        "EXTERNAL", "PTV", "CTV", "GTV", "TREATED_VOLUME", "IRRAD_VOLUME", "BOLUS", "AVOIDANCE", "ORGAN", "MARKER",
        "REGISTRATION", "ISOCENTER", "CONTRAST_AGENT", "CAVITY", "BRACHY_CHANNEL", "BRACHY_ACCESSORY",
        "BRACHY_SRC_APP", "BRACHY_CHNL_SHLD", "SUPPORT", "FIXATION", "DOSE_REGION", "CONTROL", "DOSE_MEASUREMENT",
    )
)  # fmt: skip

Mark = dict[str, Any]


def segments(header: Item) -> Iterator[Mark]:
    """One mark per segment of a SEG object."""
    shared, frames = item(header, SHARED), items(header, FRAMES)
    series_of = _series_of(header, ("00081115",), "0008114A")
    for segment in items(header, "00620002"):
        number = text(segment, "00620004")
        mine = [f for f in frames if _numbers_of(f, shared) == number]
        seen = {uid for f in mine for source in below(f, *SOURCE_IMAGES) for uid in uids(source, SOP_UID)}
        concept, category, site = (code(segment, tag) for tag in ("0062000F", "00620003", "00082218"))
        corners = [plane for f in mine if (plane := _corners(f, shared, header)) is not None]
        algorithm = text(segment, "00620008")
        yield {
            "kind": "segment",
            "item": number or "0",
            "label": text(segment, "00620005"),
            **coded(concept=concept, category=category, site=site),
            "algorithm_type": algorithm if algorithm in ALGORITHMS else None,
            "algorithm_name": text(segment, "00620009"),
            **referenced(seen, series_of),
            "n_frames": len(mine),
            "bounding_box_mm": box(corners) if len(corners) == len(mine) else None,
            "qc": [] if number else ["number_missing"],
        }


def regions(header: Item) -> Iterator[Mark]:
    """One mark per region of interest of an RTSTRUCT object."""
    path = ("30060010", "30060012", "30060014")  # frame of reference › study › series
    series_of = _series_of(header, path, "30060016")
    drawn = {text(c, "30060084"): items(c, "30060040") for c in items(header, "30060039")}
    observed = {text(o, "30060084"): o for o in items(header, "30060080")}
    for region in items(header, "30060020"):
        number = text(region, "30060022")
        contours, said = drawn.get(number, []), observed.get(number, {})
        seen = {uid for c in contours for image in items(c, "30060016") for uid in uids(image, SOP_UID)}
        points = [_points(c) for c in contours]
        received = [p for p in points if p is not None]
        is_whole = len(received) == len(points)
        is_closed = all(text(c, "30060042") == CLOSED for c in contours)
        kind, algorithm = text(said, "300600A4"), text(region, "30060036")
        stated = number_of(text(region, "3006002C"))  # cm³
        yield {
            "kind": "region",
            "item": number or "0",
            "label": text(region, "30060026"),
            **coded(concept=code(said, "30060086")),
            "category_code": kind if kind in INTERPRETED else None,
            "category_vocabulary": "DICOM" if kind in INTERPRETED else None,
            "algorithm_type": algorithm if algorithm in ALGORITHMS else None,
            **referenced(seen, series_of),
            "n_contours": len(contours),
            "n_points": sum(int(number_of(text(c, "30060046")) or 0) for c in contours),
            "bounding_box_mm": box(received) if is_whole else None,
            "volume_ml": (volume_ml(received) if is_whole and is_closed and contours else None) or stated,
            "qc": ([] if number else ["number_missing"]) + ([] if is_whole else ["contour_unreadable"]),
        }


def coded(**terms: Any) -> Mark:
    """`<name>_code`, `<name>_vocabulary` and `<name>_name` of each term."""
    parts = ("code", "vocabulary", "name")
    return {f"{name}_{part}": value for name, term in terms.items() for part, value in zip(parts, term, strict=True)}


def referenced(seen: set[str], series_of: dict[str, str]) -> Mark:
    """The images that are marked and their series; where a mark names no image, all that its object names."""
    named = seen or {uid for uid in series_of if not uid.startswith("series ")}
    series = {series_of[uid] for uid in named if uid in series_of} or set(series_of.values())
    return {"referenced_sop_instance_uids": sorted(named), "referenced_series_uids": sorted(series)}


def _series_of(header: Item, path: tuple[str, ...], images: str) -> dict[str, str]:
    """Instance → series, as the object tells; a series that names no instance stands for itself."""
    found: dict[str, str] = {}
    for series in below(header, *path):
        for uid in uids(series, SERIES_UID)[:1]:
            named = [u for image in items(series, images) for u in uids(image, SOP_UID)]
            found |= dict.fromkeys(named or [f"series {uid}"], uid)
    return found


def _numbers_of(frame: Item, shared: Item) -> str | None:
    own = item(frame, "0062000A") or item(shared, "0062000A")
    return text(own, "0062000B")


def _corners(frame: Item, shared: Item, header: Item) -> Points | None:
    """The centres of the four corner pixels of a frame."""
    position = numbers(item(frame, "00209113") or item(shared, "00209113"), "00200032")
    turned = numbers(item(frame, "00209116") or item(shared, "00209116"), "00200037")
    spacing = numbers(item(frame, "00289110") or item(shared, "00289110"), "00280030")
    rows, columns = (number_of(text(header, tag)) for tag in ("00280010", "00280011"))
    if not position or not turned or not spacing or not rows or not columns:
        return None
    if (len(position), len(turned), len(spacing)) != (3, 6, 2):
        return None
    start = np.array(position)
    along = np.array(turned[:3]) * spacing[1] * (columns - 1)
    down = np.array(turned[3:]) * spacing[0] * (rows - 1)
    return np.stack([start, start + along, start + down, start + along + down])


def _points(contour: Item) -> Points | None:
    """The points of a contour; None where they are no points, or were too long to be received."""
    found = numbers(contour, "30060050")
    if not found or len(found) % 3:
        return None
    return np.array(found, dtype=np.float64).reshape(-1, 3)
