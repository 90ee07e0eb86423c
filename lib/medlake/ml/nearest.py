"""The nearest of a few centres: the step that K-means, BIRCH and their models share. NumPy first, then a column."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from pyspark.sql import Column, DataFrame
from pyspark.sql.pandas.functions import arrow_udf

from medlake.ml.blocks import Floats, Ints, as_array, matrix_of, pieces

CELLS_AT_ONCE = 4_000_000  # distances held at once: 32 MB


def nearest_centre(points: Floats, centres: Floats) -> tuple[Ints, Floats]:
    """(number of the nearest centre, squared distance to it) of each point; ties: the lower number.

    Which is nearest is read from |c|² - 2 x·c about the centres' mean; the distance itself from the differences.
    """
    middle = centres.mean(axis=0)
    shifted = centres - middle
    squares = (shifted**2).sum(axis=1)
    label, square = np.empty(len(points), dtype=np.int64), np.empty(len(points))
    for part in pieces(len(points), max(1, CELLS_AT_ONCE // len(centres))):
        here = points[part]
        label[part] = np.argmin(squares - 2 * ((here - middle) @ shifted.T), axis=1)
        square[part] = ((here - centres[label[part]]) ** 2).sum(axis=1)
    return label, square


def with_nearest(
    dataset: DataFrame, features: str, centres: Floats, labels: Ints, prediction: str
) -> DataFrame:
    """dataset with the int column `prediction`: the label of the nearest centre; null where features are unsound.

    The centres travel with the tasks: they are the model, not data.
    """

    def predict(column: pa.Array) -> pa.Array:
        points, sound = matrix_of(column)
        answer = np.zeros(len(column), dtype=np.int32)
        sound = sound & (points.shape[1] == centres.shape[1])
        if sound.any():
            answer[sound] = labels[nearest_centre(points, centres)[0]]
        return pa.array(answer, mask=~sound)

    asked: Column = arrow_udf(predict, "int")(as_array(dataset, features))  # type: ignore[call-overload]
    return dataset.withColumn(prediction, asked)
