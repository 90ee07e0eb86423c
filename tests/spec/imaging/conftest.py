"""Objects as bronze holds them, made from a small real-shaped CT slice."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pydicom
import pytest
from pydicom.data import get_testdata_file
from pydicom.dataelem import DataElement
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.types import StructType

from medlake.sources.dicom import PAYLOAD, objects_of_file
from medlake.sources.reading import STANDS

KEPT = StructType([*STANDS, *PAYLOAD])


@pytest.fixture(scope="session")
def bronze(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., DataFrame]:
    """A function from changes (keyword → value, per object; or `file`: a path) to rows of bronze.dicom_object."""
    folder = tmp_path_factory.mktemp("objects")

    def rows(*objects: dict[str, Any]) -> DataFrame:
        made = []
        for number, changes in enumerate(objects):
            batch, source = changes.pop("batch", 1), changes.pop("source", "pacs")
            path = folder / f"{number}"
            whole = changes.pop("file", None)
            path.write_bytes(Path(whole).read_bytes() if whole else slice_with(number, changes))
            file = {
                "source": source, "source_table": "dicom", "file": f"{number:04}", "uri": str(path),
                "batch": batch, "size_bytes": 1, "file_sha256": None,
            }  # fmt: skip
            (row,) = objects_of_file(file)
            assert row.get("reason_code") is None, row["detail"]
            row |= {"file_sha256": row["content_sha256"]}
            made.append(tuple(row.get(name) for name in KEPT.names))
        return spark.createDataFrame(made, KEPT)

    return rows


def slice_with(number: int, changes: dict[str, Any]) -> bytes:
    """A small CT object with the elements of `changes`; None takes an element away, a whole element is taken as it is."""
    ct = pydicom.dcmread(str(get_testdata_file("CT_small.dcm")))
    ct.Rows = ct.Columns = 2
    ct.PixelData = bytes(8)
    ct.SOPInstanceUID = f"1.2.3.{number}"
    ct.InstanceNumber = number
    for keyword, value in changes.items():
        if value is None:
            delattr(ct, keyword)
        elif isinstance(value, DataElement):
            ct.add(value)
        else:
            setattr(ct, keyword, value)
    buffer = io.BytesIO()
    ct.save_as(buffer)
    return buffer.getvalue()
