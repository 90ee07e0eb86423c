"""One SELECT per silver table turns a source's views into mapped rows; the engine does the rest."""

from __future__ import annotations

import threading
from collections.abc import Mapping

import sqlglot
from pyspark.errors import AnalysisException, ParseException, PySparkException
from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from sqlglot import exp
from sqlglot.tokens import TokenType  # type: ignore[attr-defined]

from medlake.grammar.errors import InputRefusedError
from medlake.grammar.origin import RECORD

_VIEWS = threading.Lock()  # temporary views belong to the session: two mappings must not meet in one name


def map_by_sql(source: str, target: str, sql: str, views: Mapping[str, DataFrame]) -> DataFrame:
    """The rows of a mapping: its own columns, and `_record` (null where a row is made of several).

    Raises:
        InputRefusedError: the SQL does not parse, or names a table or column that the source does not have.
    """
    traced = with_record(sql)
    try:
        return _run(traced, views)
    except PySparkException:
        if traced != sql:  # a join or a union whose sides cannot carry the origin: map without it
            try:
                return _run(sql, views).withColumn("_record", F.lit(None).cast(RECORD))
            except (AnalysisException, ParseException) as fault:
                raise _refusal(source, target, fault) from fault
        raise
    except ParseException as fault:
        raise _refusal(source, target, fault) from fault


def joined_views(sql: str) -> set[str]:
    """The views that a SELECT reads beside others: rows of one may be made from rows of another."""
    names = views_of(sql)
    return names if len(names) > 1 else set()


def views_of(sql: str) -> set[str]:
    """The tables that a statement names; none where it does not parse, and will be refused."""
    try:
        tree = sqlglot.parse_one(sql, read="spark")
    except sqlglot.errors.SqlglotError:
        return set()
    return {table.name for table in tree.find_all(exp.Table)}


def with_record(sql: str) -> str:
    """The same SELECT with `_record` of its first table added to each branch, where that makes sense.

    An aggregate, a DISTINCT or a sub-query in FROM has no single origin: the text is returned unchanged.
    """
    try:
        tree = sqlglot.parse_one(sql, read="spark")
    except sqlglot.errors.SqlglotError:
        return sql
    if not isinstance(tree, exp.Query):
        return sql
    branches = _branches(tree)
    origins = [_origin(select) for select in branches]
    places = _top_level_froms(sql)
    if None in origins or not origins or len(places) != len(origins):
        return sql
    for place, origin, select in sorted(zip(places, origins, branches, strict=True), key=lambda p: p[0], reverse=True):
        if not _brings_all(select, str(origin)):
            sql = f"{sql[:place]}, {origin}._record {sql[place:]}"
    return sql


def _top_level_froms(sql: str) -> list[int]:
    """Where the FROM of each branch stands, in characters; the user's text is not rewritten otherwise."""
    depth, places, before = 0, [], None
    for token in sqlglot.tokenize(sql, read="spark"):
        depth += {TokenType.L_PAREN: 1, TokenType.R_PAREN: -1}.get(token.token_type, 0)
        if depth == 0 and token.token_type == TokenType.FROM and before != TokenType.DISTINCT:
            places.append(token.start)
        before = token.token_type
    return places


def _branches(tree: exp.Query) -> list[exp.Select]:
    if isinstance(tree, exp.SetOperation):
        left, right = tree.this, tree.expression
        return [*_branches(left), *_branches(right)]
    return [tree] if isinstance(tree, exp.Select) else []


def _origin(select: exp.Select) -> str | None:
    origin = select.args.get("from_") or select.args.get("from")
    if origin is None or any(select.args.get(part) for part in ("group", "distinct", "having")):
        return None
    if any(
        isinstance(e, exp.Expression) and e.find(exp.AggFunc) and not e.find(exp.Window)
        for e in select.expressions
    ):
        return None
    if isinstance(origin.this, exp.Subquery):
        inner = origin.this.this
        star = isinstance(inner, exp.Select) and any(isinstance(e, exp.Star) for e in inner.expressions)
        return str(origin.this.alias) or None if star else None
    return str(origin.this.alias_or_name)


def _brings_all(select: exp.Select, origin: str) -> bool:
    """Whether `*` or `origin.*` is selected: `_record` comes with it."""
    bare = any(isinstance(e, exp.Star) for e in select.expressions)
    tables = [e.table for e in select.expressions if isinstance(e, exp.Column) and isinstance(e.this, exp.Star)]
    return bare or origin.casefold() in (t.casefold() for t in tables)


def _run(sql: str, views: Mapping[str, DataFrame]) -> DataFrame:
    session = next(iter(views.values())).sparkSession
    named = {name.casefold() for name in views_of(sql)}
    read = {name: view for name, view in views.items() if name.casefold() in named}
    with _VIEWS:
        for name, view in read.items():
            view.createOrReplaceTempView(name)
        try:
            return session.sql(sql)
        finally:
            for name in read:
                session.catalog.dropTempView(name)


def _refusal(source: str, target: str, fault: PySparkException) -> InputRefusedError:
    said = (fault.getMessage() or str(fault)).splitlines()[0][:300]
    where = f"conf/sources/{source}/{target}.sql (or the mapping of its format)"
    return InputRefusedError(f"{where}: {said} Correct the SQL, or the columns that the files bring.")
