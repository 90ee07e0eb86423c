"""Measurements in the content tree of a structured report (PS3.3 C.17.3), with what TID 1500 says around them.

Every numeric content item is a measurement. What it is about is taken from its own modifiers, else from its group
(the container it stands in), else from the containers around that: tracking identifier, finding, finding site, images.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from medlake.clean.header_json import Code, Item, below, code, item, items, number_of, text, uids
from medlake.clean.segmentation import SERIES_UID, SOP_UID, Mark, coded, referenced

CONTENT, VALUE_TYPE, CONCEPT = "0040A730", "0040A040", "0040A043"
CODE_VALUE, TEXT_VALUE, UID_VALUE = "0040A168", "0040A160", "0040A124"
MEASURED, NUMERIC, UNIT, REFERENCED = "0040A300", "0040A30A", "004008EA", "00081199"
EVIDENCE = ("0040A375", "0040A385")  # of the requested procedure, other
TRACKING, FINDING, SITE, SOURCE_SERIES = "112039", ("121071",), ("363698007", "G-C0E3"), "121232"
NOTHING = Code()


@dataclass(frozen=True)
class About:
    """What the measurements of a container are about."""

    label: str | None = None
    finding: Code = NOTHING
    site: Code = NOTHING
    images: frozenset[str] = frozenset()
    series: frozenset[str] = frozenset()


def measurements(header: Item) -> Iterator[Mark]:
    """One mark per numeric content item of an SR object, in the order of its tree."""
    series_of: dict[str, str] = {}
    for tag in EVIDENCE:
        for series in below(header, tag, "00081115"):
            for uid in uids(series, SERIES_UID)[:1]:
                series_of |= {u: uid for image in items(series, REFERENCED) for u in uids(image, SOP_UID)}
    yield from _walk(header, "1", About(), series_of)


def _walk(holder: Item, place: str, about: About, series_of: dict[str, str]) -> Iterator[Mark]:
    children = items(holder, CONTENT)
    mine = _told(children, about)
    for n, child in enumerate(children, start=1):
        here = f"{place}.{n}"
        if text(child, VALUE_TYPE) == "NUM":
            yield _measurement(child, here, _told(items(child, CONTENT), mine), series_of)
        yield from _walk(child, here, mine, series_of)


def _told(children: list[Item], about: About) -> About:
    """What content items say of their neighbours, over what was known before."""
    images: set[str] = set()
    series: set[str] = set()
    for child in children:
        concept, kind = code(child, CONCEPT).code, text(child, VALUE_TYPE)
        if kind == "TEXT" and concept == TRACKING:
            about = replace(about, label=text(child, TEXT_VALUE))
        elif kind == "CODE" and concept in FINDING:
            about = replace(about, finding=code(child, CODE_VALUE))
        elif kind == "CODE" and concept in SITE:
            about = replace(about, site=code(child, CODE_VALUE))
        elif kind == "UIDREF" and concept == SOURCE_SERIES:
            series.update(uids(child, UID_VALUE))
        elif kind in ("IMAGE", "SCOORD", "SCOORD3D"):
            images.update(_images(child))
    if images:
        about = replace(about, images=frozenset(images))
    return replace(about, series=frozenset(series)) if series else about


def _images(child: Item) -> Iterator[str]:
    """The images that an item refers to, itself or by what it was selected from."""
    for sop in items(child, REFERENCED):
        yield from uids(sop, SOP_UID)
    for inner in items(child, CONTENT):
        if text(inner, VALUE_TYPE) in ("IMAGE", "SCOORD", "SCOORD3D"):
            yield from _images(inner)


def _measurement(child: Item, place: str, about: About, series_of: dict[str, str]) -> Mark:
    measured = item(child, MEASURED)
    said = text(measured, NUMERIC)
    unit, value = code(measured, UNIT), number_of(said)
    met = referenced(set(about.images), {u: series_of[u] for u in about.images if u in series_of})
    series = sorted({*met["referenced_series_uids"], *about.series})
    flags = ["type_value_as_number"] if said and value is None else ["value_missing"] if value is None else []
    return {
        "kind": "measurement",
        "item": place,
        "label": about.label,
        **coded(concept=code(child, CONCEPT), category=about.finding, site=about.site),
        "value_as_number": value,
        "unit_source_value": unit.code,
        **met,
        "referenced_series_uids": series,
        "qc": flags,
    }
