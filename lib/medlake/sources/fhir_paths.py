"""Which paths FHIR resources have, and which of them no view reads: counted, with names alone and never a value.

Spark's own VARIANT tells the shape of each resource; equal shapes are counted first, and only the distinct ones, a
small fraction of the resources, are taken apart. A path is that of a value: names joined by dots, `[]` left out.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping

import pyarrow as pa
from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F
from pyspark.sql import types as T
from pyspark.sql.pandas.types import to_arrow_schema

ELEMENT = re.compile(r"_?[a-z][A-Za-z0-9]{0,63}")  # how FHIR R4 names its elements
NUMBER = r"\b(?:DECIMAL\([0-9,]+\)|BIGINT|DOUBLE)"  # equal shapes differ in no more than their numbers
KIND = r"^[A-Z][A-Za-z]{0,63}$"  # and its resource types
WITHHELD = "(withheld)"  # a key that looks like no name: it may be a value
REST = "(more)"
DEEPEST = 32  # names in a path; what lies deeper is counted at its last name
MOST_OF_SHAPE = 1_000  # paths that are told of one resource
MOST_OF_TYPE = 5_000  # paths that are told of one type in one batch; the rest is `REST`
COUNTED = T.StructType(
    [
        T.StructField("batch", T.IntegerType(), False),
        T.StructField("source", T.StringType(), False),
        T.StructField("resource_type", T.StringType(), False),
        T.StructField("path", T.StringType(), False),
        T.StructField("n_resources", T.LongType(), False),
    ]
)
TOKEN = re.compile(r"`(?:[^`]|``)*`|[A-Za-z0-9_]+|[<>,:]")  # a name that needs quotes, a name or type, a sign


def counted(resources: DataFrame) -> DataFrame:
    """(batch, source, resource_type, path, n_resources): how many resource versions have a value at each path.

    `resources`: rows with batch, source, resource_type and json; those without json (deletions) do not count. What
    Spark cannot parse (nested a thousand deep) counts at `(more)`. How the rows are partitioned changes nothing.
    """
    kind = F.when(F.col("resource_type").rlike(KIND), F.col("resource_type")).otherwise(F.lit(WITHHELD))
    shape = F.regexp_replace(F.schema_of_variant(F.try_parse_json("json")), NUMBER, "NUMBER")
    by = ["batch", "source", "resource_type"]
    shapes = (
        resources.where(F.col("json").isNotNull())
        .select("batch", "source", kind.alias("resource_type"), F.coalesce(shape, F.lit("")).alias("shape"))
        .groupBy(*by, "shape").agg(F.count("*").alias("n_resources"))
    )  # fmt: skip
    paths = shapes.mapInArrow(_taken_apart, COUNTED).groupBy(*by, "path").agg(F.sum("n_resources").alias("n_resources"))
    place = F.row_number().over(Window.partitionBy(*by).orderBy(F.desc("n_resources"), "path"))
    named = F.when(place <= MOST_OF_TYPE, F.col("path")).otherwise(F.lit(REST))
    told = paths.withColumn("named", named).groupBy(*by, F.col("named").alias("path"))
    return told.agg(F.max("n_resources").alias("n_resources"))  # of the rest: the most frequent of them


def with_reading(paths: DataFrame, shapes: Mapping[str, str]) -> DataFrame:
    """Adds `is_read`: whether a view of the type (`shapes`: type → DDL) holds the path or something above it whole."""
    read = {kind: sorted(leaves(T.StructType.fromDDL(ddl))) for kind, ddl in shapes.items()}
    # one literal: a thousand of them make each plan that holds them slow
    known = F.from_json(F.lit(json.dumps(read)), "map<string,array<string>>")
    mine = F.coalesce(F.try_element_at(known, F.col("resource_type")), F.array().cast("array<string>"))
    path = F.concat("path", F.lit("."))
    return paths.withColumn("is_read", F.exists(mine, lambda leaf: path.startswith(F.concat(leaf, F.lit(".")))))


def leaves(shape: T.DataType, above: str = "") -> Iterator[str]:
    """The paths of the values of a Spark type."""
    if isinstance(shape, T.ArrayType):
        yield from leaves(shape.elementType, above)
    elif isinstance(shape, T.StructType):
        for field in shape.fields:
            yield from leaves(field.dataType, f"{above}.{field.name}" if above else field.name)
    else:
        yield above


def _taken_apart(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    arrow = to_arrow_schema(COUNTED)
    for batch in batches:
        for row in batch.to_pylist():
            found = sorted(paths_of(row.pop("shape")))
            told = found[:MOST_OF_SHAPE] + ([REST] if len(found) > MOST_OF_SHAPE else [])
            yield pa.RecordBatch.from_pylist([{**row, "path": path} for path in told], schema=arrow)


def paths_of(shape: str) -> set[str]:
    """The paths in a shape as Spark writes it: `OBJECT<id: STRING, name: ARRAY<OBJECT<…>>>`.

    An empty object is a path of its own.
    """
    found: set[str] = set()
    names: list[str] = []  # down to here
    opened: list[str] = []  # the brackets that are open: of an object with names, without, of an array
    tokens = [*TOKEN.findall(shape), "", ""]
    for place, token in enumerate(tokens[:-2]):
        following = tokens[place + 1]
        if following == ":":
            names.append(_name(token))
        elif following == "<":
            is_empty = tokens[place + 2] == ">"
            opened.append(token + " empty" * is_empty)
            found |= {_path(names)} if is_empty else set()
        elif token == "," or (token == ">" and opened.pop() == "OBJECT"):
            names.pop()
        elif token not in ("<", ">", ":"):
            found.add(_path(names))
    return found or {REST}


def _name(token: str) -> str:
    name = token.strip("`")
    return name if ELEMENT.fullmatch(name) else WITHHELD


def _path(names: list[str]) -> str:
    return ".".join(names[:DEEPEST])
