"""Promises: what each table holds, one TOML file per table under schemas/.

A promise is the single place that says a column's name, type, what a null means, its unit and its
privacy class. Reading, writing, de-identification and the documentation all follow it.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache, cached_property
from importlib.abc import Traversable
from importlib.resources import files
from pathlib import Path

from pyspark.sql import DataFrame
from pyspark.sql import types as T
from pyspark.sql.types import DataType, StructField, StructType

from medlake.grammar.errors import ConfigError, ContractError

LAYERS = ("bronze", "quarantine", "vault", "silver", "gold", "ops", "ref")
SIMPLE_TYPES: dict[str, DataType] = {
    "string": T.StringType(), "int": T.IntegerType(), "bigint": T.LongType(), "double": T.DoubleType(),
    "boolean": T.BooleanType(), "date": T.DateType(), "timestamp": T.TimestampType(), "binary": T.BinaryType(),
}  # fmt: skip
PHI_CLASSES = frozenset(
    {
        "none", "name", "address", "zip", "birth_date", "date", "age", "phone", "email",
        "national_id", "mrn", "other_id", "uid", "free_text",
    }
)  # fmt: skip


@dataclass(frozen=True)
class Column:
    """One column of a promise; `null` is "never" or a sentence that says what a null means."""

    name: str
    type: str
    null: str
    phi: str
    unit: str | None = None
    about: str | None = None

    @property
    def nullable(self) -> bool:
        return self.null != "never"


@dataclass(frozen=True)
class Promise:
    """What one table holds: its grain, its key and its columns in order."""

    name: str
    about: str
    key: tuple[str, ...]
    columns: dict[str, Column]

    @cached_property
    def schema(self) -> StructType:
        """The Spark schema; a key or "never null" column is not nullable."""
        return StructType(
            [StructField(c.name, data_type(c.type), nullable=c.nullable) for c in self.columns.values()]
        )

    def of_class(self, *phi: str) -> list[str]:
        """Names of the columns whose privacy class is one of `phi`."""
        return [c.name for c in self.columns.values() if c.phi in phi]


@cache
def data_type(ddl: str) -> DataType:
    """The Spark type written as DDL: a simple one, `array<T>` or `map<K,V>`; needs no running Spark."""
    if ddl in SIMPLE_TYPES:
        return SIMPLE_TYPES[ddl]
    outer, _, inner = ddl.removesuffix(">").partition("<")
    if outer == "array" and inner:
        return T.ArrayType(data_type(inner))
    if outer == "map" and "," in inner:
        key, _, value = inner.partition(",")
        return T.MapType(data_type(key.strip()), data_type(value.strip()))
    raise ConfigError(f"Unknown column type {ddl!r} in a promise")


def shipped(folder: str) -> Traversable:
    """A folder of the project's data (schemas, conf): inside the wheel, or beside lib/ in a checkout."""
    packed = files("medlake").joinpath("_data", folder)
    if packed.is_dir():
        return packed
    return Path(__file__).resolve().parents[3] / folder


@cache
def promise(name: str) -> Promise:
    """The promise of a table named `layer.table`.

    Raises:
        ConfigError: there is no such promise, or its TOML is not well formed.
    """
    layer, _, table = name.partition(".")
    path = shipped("schemas").joinpath(layer, f"{table}.toml")
    if layer not in LAYERS or not path.is_file():
        raise ConfigError(f"No promise for table {name!r}: expected schemas/{layer}/{table}.toml")
    return parse_promise(name, path.read_text(encoding="utf-8"))


def parse_promise(name: str, text: str) -> Promise:
    """Read a promise from its TOML text; every column must state type, null and phi."""
    toml = tomllib.loads(text)
    columns = {n: Column(name=n, **fields) for n, fields in toml.get("column", {}).items()}
    faults = [f"key column {k} is not a column" for k in toml["key"] if k not in columns]
    faults += [f"{c.name}: unknown phi class {c.phi!r}" for c in columns.values() if c.phi not in PHI_CLASSES]
    faults += [
        f'key column {k} must be null = "never"' for k in toml["key"] if k in columns and columns[k].nullable
    ]
    if faults:
        raise ConfigError(f"schemas of {name}: " + "; ".join(faults))
    return Promise(name, toml["about"], tuple(toml["key"]), columns)


@cache
def all_promises() -> dict[str, Promise]:
    """Every promise of the project by table name, in the order of LAYERS and then the alphabet."""
    root = shipped("schemas")
    return {
        f"{layer}.{path.name.removesuffix('.toml')}": promise(f"{layer}.{path.name.removesuffix('.toml')}")
        for layer in LAYERS
        if root.joinpath(layer).is_dir()
        for path in sorted(root.joinpath(layer).iterdir(), key=lambda p: p.name)
        if path.name.endswith(".toml")
    }


def conform(df: DataFrame, to: Promise) -> DataFrame:
    """The columns of the promise, in its order; checks names and types without running anything.

    Raises:
        ContractError: lists every missing, unpromised or mistyped column at once.
    """
    have = {f.name: f.dataType for f in df.schema.fields}
    want = {f.name: f.dataType for f in to.schema.fields}
    faults = [f"column {n} is missing" for n in want if n not in have]
    faults += [f"column {n} is not promised" for n in have if n not in want]
    faults += [
        f"column {n} is {have[n].simpleString()}, promised {want[n].simpleString()}"
        for n in want
        if n in have and have[n].simpleString() != want[n].simpleString()
    ]
    if faults:
        raise ContractError(to.name, faults)
    return df if list(have) == list(want) else df.select(*want)
