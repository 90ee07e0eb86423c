"""Features and thumbnails of many objects: each is decoded once, on the executors."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql import types as T
from pyspark.sql.pandas.types import to_arrow_schema

from medlake.grammar.isolated import Isolated, NoAnswerError
from medlake.imaging.guarded import FAILED, Measured, Request, guarded, measure

FEATURE = T.StructType([T.StructField("feature", T.StringType(), False), T.StructField("value", T.DoubleType(), False)])
MEASURED = T.StructType(
    [
        T.StructField("sop_instance_uid", T.StringType(), False),
        T.StructField("modality", T.StringType(), True),
        T.StructField("features", T.ArrayType(FEATURE, False), False),
        T.StructField("png", T.BinaryType(), True),
    ]
)
BATCH_ROWS = 256  # a thumbnail has at most some 30 KB


def image_features(objects: DataFrame) -> DataFrame:
    """One row per object with pixels: sop_instance_uid (as given), modality, features, png.

    `objects`: uri (absolute path on the executors), row (0, or the place in a zip from 1),
    sop_instance_uid, modality, has_pixels, burned_in_risk. Of several frames the middle one is measured.
    `png` is null where burned-in writing is possible (or not ruled out: a null risk counts as one) and
    where decoding failed; then `features` is `decode_failed` = 1 alone. Write both tables from one
    persisted result, or every object is decoded twice.
    """
    risk = F.coalesce("burned_in_risk", F.lit(True)).alias("burned_in_risk")
    wanted = objects.where("has_pixels").select("uri", "row", "sop_instance_uid", "modality", risk)
    schema = to_arrow_schema(MEASURED)

    def run(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        with guarded(measure) as child:
            for batch in batches:
                for part in range(0, batch.num_rows, BATCH_ROWS):
                    rows = [_row(r, measured_by(child, _request(r))) for r in batch.slice(part, BATCH_ROWS).to_pylist()]
                    yield pa.RecordBatch.from_pylist(rows, schema=schema)

    return wanted.mapInArrow(run, MEASURED)


def measured_by(child: Isolated[Measured], request: Request) -> Measured:
    """What the child measures of one object; `FAILED` where it cannot."""
    try:
        return child(request)
    except NoAnswerError:
        return FAILED


def features(measured: DataFrame) -> DataFrame:
    """One row per object and feature: sop_instance_uid, feature, value."""
    return measured.select("sop_instance_uid", F.inline("features"))


def thumbnails(measured: DataFrame) -> DataFrame:
    """One row per object that may be shown: sop_instance_uid, modality, png."""
    return measured.where(F.col("png").isNotNull() & F.col("modality").isNotNull()).select(
        "sop_instance_uid", "modality", "png"
    )


def _request(row: dict[str, Any]) -> Request:
    return Request(row["uri"], row["row"], row["sop_instance_uid"], not row["burned_in_risk"])


def _row(row: dict[str, Any], found: Measured) -> dict[str, Any]:
    return {
        "sop_instance_uid": row["sop_instance_uid"],
        "modality": row["modality"],
        "features": [{"feature": name, "value": value} for name, value in found.features.items()],
        "png": found.png,
    }
