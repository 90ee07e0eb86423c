"""What all stages of this room share: named columns, what counts as missing, matrices of a few columns.

The shape of the room: stages read and write named columns. A number is missing where it is null, NaN or infinite;
any other value where it is null. Without `outputCols` a stage writes over its inputs.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyspark.ml import Model
from pyspark.ml.param import Param, Params, TypeConverters
from pyspark.ml.param.shared import HasInputCols, HasOutputCols
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql import types as T
from pyspark.sql.pandas.functions import arrow_udf

from medlake.ml.blocks import Flags, Floats
from medlake.ml.persistence import KeepsTables


def param(name: str, doc: str, convert: Callable[..., Any] | None = None) -> Param[Any]:
    """A Param of a class body."""
    return Param(Params._dummy(), name, doc, convert)


class Columns(HasInputCols, HasOutputCols):
    """inputCols and outputCols, pair by pair."""

    def __init__(self) -> None:
        super().__init__()
        self._setDefault(outputCols=[])

    def _given(self) -> dict[str, Any]:
        """The arguments of the constructor that are not None."""
        return {name: v for name, v in self._input_kwargs.items() if v is not None}  # type: ignore[attr-defined]

    def pairs(self) -> list[tuple[str, str]]:
        """(input, output) of each column.

        Raises:
            ValueError: no column is named, or there are not as many outputs as inputs.
        """
        inputs: list[str] = self.getOrDefault(self.inputCols) if self.isDefined(self.inputCols) else []
        outputs: list[str] = self.getOrDefault(self.outputCols) or inputs
        if not inputs:
            raise ValueError(f"{type(self).__name__}: name the columns in inputCols")
        if len(inputs) != len(outputs):
            raise ValueError(f"{type(self).__name__}: {len(inputs)} inputCols and {len(outputs)} outputCols")
        return list(zip(inputs, outputs, strict=True))

    def inputs(self) -> list[str]:
        return [name for name, _ in self.pairs()]

    def one_of(self, name: str, known: Sequence[str]) -> str:
        """The value of a parameter that has only these words.

        Raises:
            ValueError: it has another one.
        """
        word: str = self.getOrDefault(name)
        if word not in known:
            raise ValueError(f"{type(self).__name__}: {name} is {word!r}; it can be {', '.join(known)}")
        return word


class KeepsFacts(Model, KeepsTables):
    """A model whose state is a dictionary of plain JSON values, and perhaps tables."""

    def __init__(self) -> None:
        super().__init__()
        self._kept: dict[str, Any] = {}
        self._kept_tables: dict[str, DataFrame] = {}

    @abstractmethod
    def _transform(self, dataset: DataFrame) -> DataFrame: ...

    def _facts(self) -> dict[str, Any]:
        return self._kept

    def _tables(self) -> dict[str, DataFrame]:
        return self._kept_tables

    def _restore(self, facts: dict[str, Any], tables: dict[str, DataFrame]) -> None:
        self._kept, self._kept_tables = facts, tables


class HasGroupCols(Params):
    groupCols = param("groupCols", "columns that make a group", TypeConverters.toListString)


def named(column: str) -> Column:
    """A column by its name, whatever characters that has."""
    return F.col("`" + column.replace("`", "``") + "`")


def number(column: str) -> Column:
    """The value as double; null where it is missing, NaN or infinite."""
    value = named(column).cast("double")
    return F.when(F.abs(value) < float("inf"), value)  # Spark holds NaN for larger than any number


def known(dataset: DataFrame, column: str) -> Column:
    """The value in the type it has; null where it is missing."""
    kind = dataset.schema[column].dataType
    if isinstance(kind, T.DoubleType | T.FloatType):
        return number(column).cast(kind)
    return named(column)


def is_number(dataset: DataFrame, column: str) -> bool:
    return isinstance(dataset.schema[column].dataType, T.NumericType)


def vector(columns: Sequence[str]) -> Column:
    """The columns as array<double>, null where a number is missing."""
    return F.array(*[number(c) for c in columns])


def matrix(column: pa.Array, width: int) -> Floats:
    """Rows of an array<double> column as a matrix of `width` columns; NaN where a number is missing."""
    flat = np.asarray(pc.fill_null(column.flatten(), np.nan), dtype=np.float64)
    return flat.reshape(-1, width) + 0.0  # + 0.0: -0.0 and 0.0 are one number


def as_lists(points: Floats) -> pa.Array:
    """A matrix as an array<double> column; null where it is NaN."""
    n, width = points.shape
    flat = np.ascontiguousarray(points).ravel()
    starts = np.arange(0, (n + 1) * width, width, dtype=np.int32)
    return pa.ListArray.from_arrays(starts, pa.array(flat, mask=np.isnan(flat)))


def row_wise(work: Callable[[Floats], Floats], columns: Sequence[str]) -> Column:
    """array<double>: a NumPy function, matrix to matrix, of the columns, batch by batch on the executors."""
    width = len(columns)

    def apply(column: pa.Array) -> pa.Array:
        return as_lists(work(matrix(column, width)))

    answer: Column = arrow_udf(apply, "array<double>")(vector(columns))  # type: ignore[call-overload]
    return answer


def filled_in(dataset: DataFrame, filled: Column, pairs: Sequence[tuple[str, str]]) -> DataFrame:
    """Writes the i-th entry of the array `filled` where the i-th input is missing; outputs are double."""
    at = "_filled"
    outputs = {out: F.coalesce(number(column), F.get(F.col(at), F.lit(i))) for i, (column, out) in enumerate(pairs)}
    return dataset.withColumn(at, filled).withColumns(outputs).drop(at)


def quantile(column: Column, share: float, relative_error: float) -> Column:
    """A quantile: exact with linear interpolation (NumPy's default) where the error is 0, else Greenwald and Khanna's.

    Exact ones keep the distinct values of a column in one task's memory; percentile_approx does not.
    """
    if relative_error <= 0:
        return F.percentile(column, share)
    return F.percentile_approx(column, share, round(1 / relative_error))


def where_known(values: Floats) -> Flags:
    return np.asarray(np.isfinite(values))
