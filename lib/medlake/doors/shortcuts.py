"""Where PySpark goes a long way to the JVM, a short one: names are asked for once, and local rows go as Arrow.

A list given to `createDataFrame` would pass through Python workers at every use, and no optimiser would know how many
rows there are. As Arrow it is a table within the plan: what is joined to no rows is not even planned.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any

import pyarrow as pa
from py4j.java_gateway import JavaClass, JavaMember, JavaPackage, JVMView
from pyspark.sql import SparkSession
from pyspark.sql import types as T
from pyspark.sql.pandas.types import to_arrow_schema

PLAIN = (T.StringType, T.BinaryType, T.BooleanType, T.IntegerType, T.LongType, T.DoubleType, T.DateType)


def take() -> None:
    """Take them from now on; a second call changes nothing."""
    for kind in (JVMView, JavaPackage, JavaClass):
        if not hasattr(kind.__getattr__, "__wrapped__"):
            kind.__getattr__ = _remembering(kind.__getattr__)
    if not hasattr(SparkSession.createDataFrame, "__wrapped__"):
        SparkSession.createDataFrame = _as_arrow(SparkSession.createDataFrame)  # type: ignore[method-assign]


def _remembering(ask: Callable[[Any, str], Any]) -> Callable[[Any, str], Any]:
    """What is a package, a class or a method of a class stays one for as long as the JVM lives; so does the answer."""

    @wraps(ask)
    def answer(self: Any, name: str) -> Any:
        found = ask(self, name)
        if isinstance(found, (JavaPackage, JavaClass, JavaMember)):  # no values: a field may change
            self.__dict__[name] = found
        return found

    return answer


def _as_arrow(make: Callable[..., Any]) -> Callable[..., Any]:
    """Lists of rows with a schema become Arrow tables; what Arrow does not take as it is goes PySpark's way."""

    @wraps(make)
    def made(self: SparkSession, data: Any, schema: Any = None, *rest: Any, **more: Any) -> Any:
        if isinstance(data, list) and isinstance(schema, (str, T.StructType)) and not rest and not more:
            kind = self._parse_ddl(schema) if isinstance(schema, str) else schema
            table = _arrow_table(data, kind) if isinstance(kind, T.StructType) else None
            if table is not None:
                return make(self, table, kind)
        return make(self, data, schema, *rest, **more)

    return made


def _arrow_table(rows: Sequence[Any], schema: T.StructType) -> pa.Table | None:
    """The rows, or None where they are not tuples of the schema's plain types."""
    kinds = [field.dataType for field in schema.fields]
    if not kinds or not all(_is_plain(kind) or isinstance(kind, T.TimestampType) for kind in kinds):
        return None
    if any(not isinstance(row, (tuple, list)) or len(row) != len(kinds) for row in rows):
        return None
    columns = [[row[at] for row in rows] for at in range(len(kinds))]
    times = [column for column, kind in zip(columns, kinds, strict=True) if isinstance(kind, T.TimestampType)]
    if any(time is not None and getattr(time, "tzinfo", None) is None for column in times for time in column):
        return None  # of what zone they are is PySpark's to say
    to = to_arrow_schema(schema, timezone="UTC")
    try:
        arrays = [pa.array(column, field.type) for column, field in zip(columns, to, strict=True)]
    except (pa.ArrowException, TypeError, ValueError, OverflowError):
        return None  # PySpark says what is wrong with them
    if any(array.null_count and not field.nullable for array, field in zip(arrays, to, strict=True)):
        return None
    return pa.Table.from_arrays(arrays, schema=to)


def _is_plain(kind: T.DataType) -> bool:
    if isinstance(kind, T.ArrayType):
        return _is_plain(kind.elementType)
    if isinstance(kind, T.MapType):
        return _is_plain(kind.keyType) and _is_plain(kind.valueType)
    if isinstance(kind, T.StructType):
        return all(_is_plain(field.dataType) for field in kind.fields)
    return isinstance(kind, PLAIN)
