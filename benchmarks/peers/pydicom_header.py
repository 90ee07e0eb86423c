"""A DICOM header by pydicom alone: the whole of it as JSON, and the words that silver.imaging_instance needs."""

from __future__ import annotations

import json
import logging
import warnings
from typing import Any

import pydicom

from medlake.clean.dicom_header import INTEGERS, NUMBERS, TEXTS, VECTORS

IDS = {"sop_instance_uid": "00080018", "study_uid": "0020000D", "series_uid": "0020000E", "modality": "00080060"}
SPACING = {"pixel_spacing_mm": "00280030"}
FIRST = {**IDS, **TEXTS, **INTEGERS, **NUMBERS}
NAMES = ("file", *FIRST, *VECTORS, *SPACING, "header_json")


def quiet() -> None:
    logging.getLogger("pydicom").disabled = True
    warnings.simplefilter("ignore")


def row(path: str) -> dict[str, Any]:
    """What is said of one file."""
    header = pydicom.dcmread(path, stop_before_pixels=True).to_json_dict()

    def values(tag: str) -> list[Any]:
        return header.get(tag, {}).get("Value") or []

    told: dict[str, Any] = {"file": path, "header_json": json.dumps(header)}
    for name, tag in FIRST.items():
        first = next(iter(values(tag)), None)
        told[name] = first if first is None or name in INTEGERS or name in NUMBERS else str(first)
    for name, tag in {**{name: tag for name, (tag, _) in VECTORS.items()}, **SPACING}.items():
        told[name] = [float(v) for v in values(tag)] or None
    return told


def arrow_schema() -> Any:
    """The table's columns and types."""
    import pyarrow as pa

    special = {**dict.fromkeys(INTEGERS, pa.int64()), **dict.fromkeys(NUMBERS, pa.float64())}
    special |= dict.fromkeys((*VECTORS, *SPACING), pa.list_(pa.float64()))
    return pa.schema([(name, special.get(name, pa.string())) for name in NAMES])
