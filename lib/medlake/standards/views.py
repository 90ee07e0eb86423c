"""SQL-on-FHIR v2: a ViewDefinition, compiled once, turns resources into rows; on executors, or one at a time.

https://sql-on-fhir.org: forEach, forEachOrNull, repeat, nested select, unionAll, where, constants, collections.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from itertools import product
from typing import Any

import pyarrow as pa
from pyspark.sql import DataFrame

from medlake.grammar.errors import UsageError
from medlake.standards.fhirpath import Temporal, parse
from medlake.standards.functions import as_text
from medlake.standards.operators import Items, fault
from medlake.standards.paths import Path, Scope, compiled

NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
# FHIR's primitive types as Spark's; whatever is not listed is text, an element its JSON.
TYPES = {
    "boolean": "boolean", "integer": "int", "positiveInt": "int", "unsignedInt": "int", "integer64": "bigint",
    "decimal": "double",
}  # fmt: skip
LIMITS = {"int": 2**31, "bigint": 2**63}
TEMPORAL = {"valueDate": "date", "valueDateTime": "dateTime", "valueInstant": "instant", "valueTime": "time"}
Row = tuple[Any, ...]
FAULT = "_fault"  # no column of a view may start with _
BOM = "\ufeff"


@dataclass(frozen=True)
class Column:
    """One column of a view: its Spark type is that of a value, or of each value of a collection."""

    name: str
    type: str
    is_collection: bool

    @property
    def spark_type(self) -> str:
        return f"array<{self.type}>" if self.is_collection else self.type

    def value(self, items: Items) -> Any:
        """The items as a value of the column.

        Raises:
            UsageError: there are several and the column is no collection, or one is not of the column's type.
        """
        if self.is_collection:
            return [self._cast(item) for item in items]
        if len(items) > 1:
            raise fault(f"column {self.name} has several values in a resource; say collection: true, or first()")
        return self._cast(items[0]) if items else None

    def _cast(self, item: Any) -> Any:
        if self.type == "string":
            return as_text(item)
        if self.type == "boolean":
            fits = isinstance(item, bool)
        elif self.type == "double":
            fits = isinstance(item, int | Decimal) and not isinstance(item, bool)
        else:
            whole = isinstance(item, Decimal) and item == item.to_integral_value()
            fits = (isinstance(item, int) or whole) and not isinstance(item, bool)
            fits = fits and -LIMITS[self.type] <= item < LIMITS[self.type]
        if not fits:
            raise fault(f"column {self.name} has a value that is no {self.type}")
        return item if self.type == "boolean" else float(item) if self.type == "double" else int(item)


@dataclass(frozen=True)
class Select:
    """A compiled select: its columns, and its rows of one item in focus."""

    columns: tuple[Column, ...]
    rows: Callable[[Items, Scope], list[Row]]


@dataclass(frozen=True)
class View:
    """A compiled ViewDefinition."""

    resource: str
    columns: tuple[Column, ...]
    select: Select
    where: tuple[Path, ...]

    def rows(self, resource: Mapping[str, Any]) -> list[Row]:
        """The rows of one resource (JSON with numbers as int or Decimal); none if it is of another type.

        Raises:
            UsageError: a value does not fit the view; the message never holds it.
        """
        if resource.get("resourceType") != self.resource:
            return []
        scope = Scope(resource, 0, resource)
        for path in self.where:
            found = path([resource], scope)
            if len(found) > 1 or any(not isinstance(item, bool) for item in found):
                raise fault("a where path must give true, false or nothing")
            if found != [True]:
                return []
        return self.select.rows([resource], scope)

    @property
    def schema(self) -> str:
        """The columns as Spark's DDL."""
        return ", ".join(f"`{c.name}` {c.spark_type}" for c in self.columns)


def compile_view(definition: Mapping[str, Any]) -> View:
    """A view from its ViewDefinition (parsed JSON).

    Raises:
        UsageError: the definition is incomplete or contradicts itself, or a path cannot be read.
    """
    if not isinstance(definition, Mapping):
        raise fault("a ViewDefinition is a JSON object")
    resource = definition.get("resource")
    if not isinstance(resource, str) or not resource:
        raise fault("the definition does not say its resource")
    constants = dict(_constant(said) for said in _list(definition, "constant"))
    selects = _list(definition, "select")
    if not selects:
        raise fault("the definition has no select")
    whole = _joined([_select(said, constants) for said in selects])
    names = [c.name for c in whole.columns]
    doubled = sorted({n for n in names if names.count(n) > 1})
    if doubled:
        raise fault(f"columns stand twice: {', '.join(doubled)}")
    where = tuple(compiled(parse(said.get("path")), constants) for said in _list(definition, "where"))
    return View(resource, whole.columns, whole, where)


def _list(said: Mapping[str, Any], key: str) -> list[Mapping[str, Any]]:
    found = said.get(key) or []
    if not isinstance(found, list) or any(not isinstance(entry, Mapping) for entry in found):
        raise fault(f"{key} must be a list of objects")
    return found


def _constant(said: Mapping[str, Any]) -> tuple[str, Any]:
    keys = [key for key in said if key.startswith("value")]
    name = said.get("name")
    if not isinstance(name, str) or len(keys) != 1:
        raise fault("a constant needs a name and one value[x]")
    value = said[keys[0]]
    if isinstance(value, float):
        value = Decimal(str(value))
    if keys[0] in TEMPORAL:
        value = Temporal(value)
        value.kind = TEMPORAL[keys[0]]
    return name, value


def _select(said: Mapping[str, Any], constants: Mapping[str, Any]) -> Select:
    columns = [_column(column, constants) for column in _list(said, "column")]
    parts = [_own(columns)] if columns else []
    parts += [_select(nested, constants) for nested in _list(said, "select")]
    branches = [_select(branch, constants) for branch in _list(said, "unionAll")]
    if branches:
        shapes = {tuple((c.name, c.spark_type) for c in branch.columns) for branch in branches}
        if len(shapes) > 1:
            raise fault("the branches of a unionAll must have the same columns in the same order")
        parts.append(Select(branches[0].columns, lambda f, s: [row for b in branches for row in b.rows(f, s)]))
    inner = _joined(parts)
    loops = [key for key in ("forEach", "forEachOrNull", "repeat") if said.get(key) is not None]
    if len(loops) > 1:
        raise fault(f"a select cannot have {' and '.join(loops)}")
    if not loops:
        return inner
    if loops == ["repeat"]:
        return _repeated(inner, said["repeat"], constants)
    null = _null_row(columns, inner) if loops == ["forEachOrNull"] else None
    return _looped(inner, compiled(parse(said[loops[0]]), constants), null)


def _column(said: Mapping[str, Any], constants: Mapping[str, Any]) -> tuple[Column, Path]:
    name, kind = said.get("name"), said.get("type")
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise fault("a column needs a name of letters, digits and _")
    path = compiled(parse(said.get("path")), constants, kind)
    return Column(name, TYPES.get(str(kind), "string"), said.get("collection") is True), path


def _own(columns: list[tuple[Column, Path]]) -> Select:
    def rows(focus: Items, scope: Scope) -> list[Row]:
        return [tuple(column.value(path(focus, scope)) for column, path in columns)]

    return Select(tuple(column for column, _ in columns), rows)


def _joined(parts: list[Select]) -> Select:
    """Every combination of the parts' rows, columns one after the other."""

    def rows(focus: Items, scope: Scope) -> list[Row]:
        found = [part.rows(focus, scope) for part in parts]
        return [sum(combination, ()) for combination in product(*found)]

    return Select(tuple(column for part in parts for column in part.columns), rows)


def _null_row(columns: list[tuple[Column, Path]], inner: Select) -> Callable[[Scope], Row]:
    """What forEachOrNull gives where there is nothing: nulls, but paths that need no item have their value."""
    nested = (None,) * (len(inner.columns) - len(columns))

    def row(scope: Scope) -> Row:
        empty = Scope(None, 0, scope.resource)
        return (*[None if column.is_collection else column.value(path([], empty)) for column, path in columns], *nested)

    return row


def _looped(inner: Select, path: Path, null: Callable[[Scope], Row] | None) -> Select:
    def rows(focus: Items, scope: Scope) -> list[Row]:
        items = path(focus, scope)
        if not items and null is not None:
            return [null(scope)]
        return _of_each(inner, items, scope)

    return Select(inner.columns, rows)


def _of_each(inner: Select, items: Items, scope: Scope) -> list[Row]:
    return [
        row
        for number, item in enumerate(items)
        for row in inner.rows([item], Scope(item, number, scope.resource))
    ]


def _repeated(inner: Select, said: object, constants: Mapping[str, Any]) -> Select:
    """Items by the paths, of those again by the paths and so on, each before what it holds."""
    if not isinstance(said, list) or not said:
        raise fault("repeat must be a list of paths")
    paths = [compiled(parse(text), constants) for text in said]

    def below(item: Any, scope: Scope) -> Iterator[Any]:
        for path in paths:
            for child in path([item], Scope(item, 0, scope.resource)):
                yield child
                yield from below(child, scope)

    def rows(focus: Items, scope: Scope) -> list[Row]:
        return _of_each(inner, [child for item in focus for child in below(item, scope)], scope)

    return Select(inner.columns, rows)


def to_rows(resources: DataFrame, definition: Mapping[str, Any]) -> DataFrame:
    """The view's rows. `resources`: one column, the JSON text of one resource a row; evaluated on executors.

    FAULT is null in the view's rows; a resource that does not fit the view, or is no JSON, gives one row with nothing
    but what is wrong with it, without a value: one bad resource ends no Spark job.

    Raises:
        UsageError: see `compile_view`.
    """
    schema = f"{compile_view(definition).schema}, `{FAULT}` string"

    def run(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        view = compile_view(definition)  # once a task: closures do not travel
        arrow = pa.schema([*[(c.name, _arrow_type(c)) for c in view.columns], (FAULT, pa.string())])
        for batch in batches:
            rows = [row for text in batch.column(0).to_pylist() for row in rows_or_fault(view, text)]
            yield pa.RecordBatch.from_pylist([dict(zip(arrow.names, row, strict=True)) for row in rows], schema=arrow)

    return resources.mapInArrow(run, schema)


def rows_or_fault(view: View, text: str) -> list[Row]:
    """The rows of one resource with FAULT as their last value; of one that does not fit, what is wrong with it."""
    try:
        return [(*row, None) for row in view.rows(json.loads(text.removeprefix(BOM), parse_float=Decimal))]
    except UsageError as wrong:
        said = str(wrong)
    except (ValueError, RecursionError):
        said = "view: a resource in bronze cannot be read as JSON"
    return [(*(None,) * len(view.columns), said)]


def _arrow_type(column: Column) -> pa.DataType:
    known = {"boolean": pa.bool_(), "int": pa.int32(), "bigint": pa.int64(), "double": pa.float64()}
    kind = known.get(column.type, pa.string())
    return pa.list_(kind) if column.is_collection else kind
