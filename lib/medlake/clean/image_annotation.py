"""bronze.dicom_object → rows for silver.image_annotation: segments, regions and measurements.

A content tree has no fixed depth, so that the headers of SEG, RTSTRUCT and SR objects are walked in Python, on the
executors; of all other objects no header is opened.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql.pandas.types import to_arrow_schema
from pyspark.sql.types import StructField, StructType

from medlake.clean.dicom_header import newest
from medlake.clean.header_json import Item
from medlake.clean.segmentation import Mark, regions, segments
from medlake.clean.structured_report import measurements
from medlake.grammar.contract import promise
from medlake.grammar.origin import stands

READERS: dict[str, Callable[[Item], Iterator[Mark]]] = {"SEG": segments, "RTSTRUCT": regions, "SR": measurements}
GIVEN = ("sop_instance_uid", "study_uid", "series_uid", "source", "person_source_value", "_record")
BATCH_ROWS = 256


def stage_annotations(objects: DataFrame) -> DataFrame:
    """One row per mark of the newest SEG, RTSTRUCT and SR objects, from rows of bronze.dicom_object.

    Flags: `number_missing` (of a segment or region), `contour_unreadable`, `value_missing`, `type_value_as_number`,
    `item_twice` where an object uses one number twice (the later ones get a place behind it), `nothing_referenced`.
    """
    modality = F.upper(F.trim("modality")).alias("modality")
    marked = newest(objects).select(
        *[c for c in GIVEN if c not in ("person_source_value", "_record")],
        F.trim("patient_key").alias("person_source_value"), stands(), modality, "header_json",
    ).where(F.col("modality").isin(*READERS))  # fmt: skip
    to = promise("silver.image_annotation")
    made = [f for f in to.schema.fields if f.name not in (*GIVEN, "person_id")]
    fields = [*[f for f in marked.schema.fields if f.name in GIVEN], *made]
    schema = StructType([StructField(f.name, f.dataType, nullable=True) for f in fields])
    arrow = to_arrow_schema(schema)

    def run(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            for row in batch.to_pylist():
                held = {name: row[name] for name in GIVEN}
                marks = [{**held, **mark} for mark in marks_of(row["modality"], json.loads(row["header_json"]))]
                for at in range(0, len(marks), BATCH_ROWS):
                    yield pa.RecordBatch.from_pylist(marks[at : at + BATCH_ROWS], schema=arrow)

    return marked.mapInArrow(run, schema)


def marks_of(modality: str, header: Item) -> Iterator[dict[str, Any]]:
    """The marks of one object; every `item` once."""
    seen: set[str] = set()
    for mark in READERS[modality](header):
        flags = list(mark["qc"])
        if mark["item"] in seen:
            flags.append("item_twice")
            mark["item"] = f"{mark['item']}.{len(seen)}"
        if not mark["referenced_series_uids"] and not mark["referenced_sop_instance_uids"]:
            flags.append("nothing_referenced")
        seen.add(mark["item"])
        yield {**mark, "qc": sorted(flags)}
