"""Tables as text: a test that a clinician can read is a test that tells what it means.

    measurement_id | value_as_number | unit | qc
    1              | 14.0            | g/dL | [unit_unknown]

`null` is a null, `[a, b]` an array, `[]` an empty one; types come from the promise or from `types`.
"""

from __future__ import annotations

import ast
from collections import Counter
from datetime import date, datetime
from typing import Any

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql import types as T

from medlake.grammar.contract import data_type, promise

PLAIN = {"bigint": 0, "int": 0, "double": 0.0, "string": "x", "boolean": False, "date": date(2000, 1, 1), "timestamp": datetime(2000, 1, 1)}


def parsed(text: str) -> tuple[list[str], list[list[str]]]:
    """Column names and cells."""
    lines = [line.strip() for line in text.strip().splitlines() if line.strip()]
    cells = [[cell.strip() for cell in line.split("|")] for line in lines]
    wrong = [i for i, row in enumerate(cells) if len(row) != len(cells[0])]
    assert not wrong, f"rows {wrong} of the text table do not have {len(cells[0])} cells"
    return cells[0], cells[1:]


def value(cell: str, kind: T.DataType) -> Any:
    """A cell as a Python value of its Spark type."""
    if cell == "null":
        return None
    if isinstance(kind, T.ArrayType):
        inner = cell.removeprefix("[").removesuffix("]").strip()
        return [value(part.strip(), kind.elementType) for part in inner.split(",")] if inner else []
    if isinstance(kind, T.MapType):
        return dict(ast.literal_eval(cell))
    if isinstance(kind, T.BooleanType):
        return {"true": True, "false": False}[cell]
    if isinstance(kind, T.IntegerType | T.LongType):
        return int(cell)
    if isinstance(kind, T.DoubleType):
        return float(cell)
    if isinstance(kind, T.DateType):
        return date.fromisoformat(cell)
    if isinstance(kind, T.TimestampType):
        return datetime.fromisoformat(cell + "+00:00")
    return cell.replace("\\t", "\t").replace("\\n", "\n")


def rows(spark: SparkSession, table: str | None, text: str, **types: str) -> DataFrame:
    """A DataFrame of the columns named in `text`; types by `types`, else the table's promise, else string."""
    names, cells = parsed(text)
    known = promise(table).columns if table else {}
    kinds = [data_type(types.get(n) or (known[n].type if n in known else "string")) for n in names]
    data = [tuple(value(c, k) for c, k in zip(row, kinds, strict=True)) for row in cells]
    schema = T.StructType([T.StructField(n, k) for n, k in zip(names, kinds, strict=True)])
    return spark.createDataFrame(data, schema)


def filled(spark: SparkSession, table: str, text: str) -> DataFrame:
    """A whole table from text: columns that the text leaves out are null, or a plain value where null is not promised."""
    return completed(table, rows(spark, table, text))


def completed(table: str, given: DataFrame) -> DataFrame:
    """The rows with the table's other columns: null, or a plain value where null is not promised."""
    lacking = {}
    for c in promise(table).columns.values():
        if c.name not in given.columns:
            blank = F.lit(None) if c.nullable else F.array() if c.type.startswith("array") else F.lit(PLAIN[c.type])
            lacking[c.name] = blank.cast(data_type(c.type))
    return given.withColumns(lacking)


def assert_rows(actual: DataFrame, text: str) -> None:
    """The columns named in `text` hold exactly these rows, in any order; doubles to nine digits."""
    names, cells = parsed(text)
    kinds = {f.name: f.dataType for f in actual.schema.fields}
    missing = [n for n in names if n not in kinds]
    assert not missing, f"columns {missing} are not among {actual.columns}"
    want = Counter(
        tuple(_plain(value(c, kinds[n])) for n, c in zip(names, row, strict=True)) for row in cells
    )
    have = Counter(tuple(_plain(v) for v in row) for row in actual.select(*names).collect())
    lacking, extra = want - have, have - want
    assert not lacking and not extra, (
        f"lacking {sorted(map(str, lacking.elements()))}\nextra   {sorted(map(str, extra.elements()))}"
    )


def _plain(v: Any) -> Any:
    if isinstance(v, float):
        return float(f"{v:.9g}")
    if isinstance(v, list):
        return tuple(_plain(x) for x in v)
    if isinstance(v, datetime):
        return v.replace(tzinfo=None)
    if isinstance(v, dict):
        return tuple(sorted(v.items()))
    return v
