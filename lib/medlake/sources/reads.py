"""Which columns of which table a mapping reads: told by its SQL alone, before a file is opened."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import sqlglot
from sqlglot import exp
from sqlglot.optimizer.scope import Scope, traverse_scope

from medlake.sources.declared import Source, Table


def columns_read(source: Source) -> dict[str, frozenset[str]]:
    """Table → the columns that the mappings and views of the source read, as they spell them.

    A column that no table can be told for (unqualified beside a join) is left out: Spark names it where it is absent.
    """
    known = {table.name.casefold(): table.name for table in source.tables}
    found: dict[str, set[str]] = {table.name: set() for table in source.tables}
    for sql in (*source.views.values(), *source.mappings.values()):
        for table, column in _reads(sql, known):
            found[table].add(column)
    return {table: frozenset(columns) for table, columns in found.items()}


def needed(table: Table, read: frozenset[str]) -> tuple[str, ...]:
    """The columns without which a file of the table cannot be taken in, each in one spelling."""
    said = {name.casefold(): name for name in (*sorted(read), *table.columns, *table.key)}
    spare = {name.casefold() for name in table.optional}
    return tuple(name for folded, name in sorted(said.items()) if folded not in spare)


def _reads(sql: str, known: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    try:
        scopes = traverse_scope(sqlglot.parse_one(sql, read="spark"))
    except sqlglot.errors.SqlglotError:
        return
    for scope in scopes:
        made = _made(scope.expression)
        for column in scope.columns:
            table = _owner(scope, column.table)
            is_own = column.name.casefold() not in made and "_record" not in (column.name, column.table)
            if is_own and table is not None and table in known:
                yield known[table], column.name


def _made(select: exp.Expr) -> set[str]:
    """The columns that LATERAL VIEWs of the SELECT make."""
    laterals = select.args.get("laterals") or []
    return {name.name.casefold() for lateral in laterals for name in lateral.args["alias"].args.get("columns") or []}


def _owner(scope: Scope, qualifier: str) -> str | None:
    """The table that a column belongs to, looked for through `SELECT *`; None where it cannot be told."""
    sources = {alias: source for alias, source in scope.sources.items() if not _is_lateral(source)}
    if qualifier:
        matching = [source for alias, source in sources.items() if alias.casefold() == qualifier.casefold()]
    else:
        matching = list(sources.values()) if len(sources) == 1 else []
    if not matching:
        return None
    if isinstance(matching[0], exp.Table):
        return matching[0].name.casefold()
    inner = matching[0]
    starred = isinstance(inner, Scope) and any(isinstance(e, exp.Star) for e in inner.expression.expressions)
    return _owner(inner, "") if starred else None


def _is_lateral(source: object) -> bool:
    return isinstance(source, Scope) and isinstance(source.expression, exp.Lateral)
