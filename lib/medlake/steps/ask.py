"""Read-only looks at the lake: SQL, the ledger, the tables, a promise."""

from __future__ import annotations

import csv
import json
import sys

import sqlglot
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession
from rich.console import Console
from rich.table import Table
from sqlglot import exp

from medlake.doors import session
from medlake.doors.access import AccessLog
from medlake.doors.lake import Lake
from medlake.doors.settings import Conf, load, read_key
from medlake.grammar.contract import LAYERS, all_promises, promise
from medlake.grammar.errors import UsageError
from medlake.steps.runner import Options
from medlake.steps.sources import counts_of

RUNS = """SELECT night_id, step, status, date_format(started_at, 'yyyy-MM-dd HH:mm:ss') AS started_at, seconds,
       rows_in, rows_kept, rows_quarantined, rows_merged, rows_changed, exit_code
FROM ops.run ORDER BY started_at DESC"""
FORBIDDEN = (
    exp.Insert,
    exp.Update,
    exp.Delete,
    exp.Merge,
    exp.Create,
    exp.Drop,
    exp.Alter,
    exp.Command,
    exp.TruncateTable,
)


def ask(options: Options, query: str, form: str, limit: int) -> None:
    """Print the result of one SELECT.

    Raises:
        UsageError: it is no SELECT, or names a table or column that is not there.
    """
    used = tables_of(query)
    lake = lake_of(options)
    views = {}
    for name in used:
        views[name] = name.replace(".", "__")
        lake.read(name).createOrReplaceTempView(views[name])
    try:
        frame = lake.spark.sql(_renamed(query, views))
        if limit:
            frame = frame.limit(limit)
        show(frame, form)
    except PySparkException as fault:
        said = (fault.getMessage() or str(fault)).splitlines()[0]
        for name, view in views.items():
            said = said.replace(view, name)
        raise UsageError(f"sql: {said}") from fault


def tables_of(query: str) -> list[str]:
    """The lake's tables that a SELECT reads.

    Raises:
        UsageError: it is more than one statement, not a SELECT, or names a table without promise.
    """
    try:
        trees = sqlglot.parse(query, read="spark")
    except sqlglot.errors.SqlglotError as fault:
        raise UsageError(f"sql: {str(fault).splitlines()[0]}") from fault
    tree = trees[0] if len(trees) == 1 else None
    if not isinstance(tree, exp.Query) or tree.find(*FORBIDDEN):
        raise UsageError("sql: one SELECT, please; the lake is read-only here")
    inner = {cte.alias_or_name for cte in tree.find_all(exp.CTE)}
    names = {f"{t.db}.{t.name}" if t.db else t.name for t in tree.find_all(exp.Table)} - inner
    known = all_promises()
    unknown = sorted(n for n in names if n not in known)
    if unknown:
        raise UsageError(f"sql: there is no table {', '.join(unknown)}. `medlake tables` lists them all.")
    return sorted(names)


def _renamed(query: str, views: dict[str, str]) -> str:
    tree = sqlglot.parse_one(query, read="spark")
    for table in tree.find_all(exp.Table):
        name = f"{table.db}.{table.name}"
        if name in views:
            alias = table.alias or table.name
            table.replace(exp.alias_(exp.to_table(views[name]), alias, table=True))
    return tree.sql(dialect="spark")


def show(frame: DataFrame, form: str) -> None:
    """Rows to standard output, one at a time: nothing is gathered first."""
    rows = frame.toLocalIterator()
    if form == "json":
        for row in rows:
            print(json.dumps(row.asDict(recursive=True), default=str, ensure_ascii=False))
    elif form == "csv":
        out = csv.writer(sys.stdout)
        out.writerow(frame.columns)
        out.writerows([_cell(v) for v in row] for row in rows)
    else:
        table = Table(*frame.columns)
        for row in rows:
            table.add_row(*["" if v is None else str(v) for v in row])
        Console(width=None if sys.stdout.isatty() else 200).print(table)


def _cell(value: object) -> object:
    """A cell that starts like a formula is made harmless for spreadsheets."""
    return f"'{value}" if isinstance(value, str) and value[:1] in "=+-@\t\r" and value[:1] else value


def list_tables(options: Options) -> None:
    """Every table with its rows and version."""
    lake = lake_of(options, "tables")
    table = Table("table", "rows", "version", "one row is")
    versions = {name: lake.version(name) for name in all_promises()}
    rows = counts_of({name: lake.read(name) for name, version in versions.items() if version is not None})
    for name, version in versions.items():
        known = ("", "") if version is None else (f"{rows[name]:,}", str(version))
        table.add_row(name, *known, promise(name).about)
    Console(width=None if sys.stdout.isatty() else 160).print(table)


def describe_table(name: str) -> None:
    """A promise in words.

    Raises:
        UsageError: there is no such table.
    """
    if name.partition(".")[0] not in LAYERS or name not in all_promises():
        raise UsageError(f"describe {name}: there is no such table. `medlake tables` lists them all.")
    said = promise(name)
    table = Table("column", "type", "null means", "privacy", "unit", "about")
    for c in said.columns.values():
        table.add_row(c.name, c.type, c.null, c.phi, c.unit or "", c.about or "")
    console = Console(width=None if sys.stdout.isatty() else 160)
    console.print(f"{name}: {said.about}\nkey: {', '.join(said.key)}")
    console.print(table)


def lake_of(options: Options, why: str = "sql") -> Lake:
    """The lake that the options name, on the running session or a new one. `why`: for the access log."""
    conf = Conf(options.conf)
    settings = load(conf, options.profile, lake=options.lake)
    spark: SparkSession = session.start("medlake sql", conf.spark(options.profile))
    return Lake(spark, settings.lake, AccessLog(settings.lake, lambda: read_key(settings.key_file), why))
