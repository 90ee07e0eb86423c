"""Tables of a PostgreSQL server → records like those of a CSV file: what to ask the server, and its answer as text.

The server itself turns each value into text: a decimal of any length, a time in UTC, an array stay what they are there.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

REPEATED = "Another row of the table has the same key and other values; one of them was taken."
PARTITION = "_partition"  # the column of a query by which Spark cuts it into ranges
TEXT_OPTIONS = ("query", "table", "watermark", "partition_column", "deleted")
SECRETS = re.compile(r"//[^/]*@|[?&;](user|password|sslpassword)=", re.IGNORECASE)


@dataclass(frozen=True)
class Server:
    """Where a source's database is and how one gets in; the password itself is never a part of it."""

    url: str
    user: str | None
    password_env: str | None
    password_file: str | None


@dataclass(frozen=True)
class Extract:
    """One table, or one query, of a database. `partitions` ranges of `partition_column` are read side by side."""

    name: str
    table: str | None = None
    query: str | None = None
    watermark: str | None = None
    partition_column: str | None = None
    lower: int | None = None
    upper: int | None = None
    partitions: int = 4
    deleted: str | None = None

    @property
    def origin(self) -> str:
        """What stands behind FROM."""
        if self.query:
            return f"({self.query.strip().rstrip(';')}) AS q"
        return ".".join(quoted(part) for part in str(self.table).split("."))


def server_of(toml: Mapping[str, Any]) -> tuple[Server | None, list[str]]:
    """The server that a source.toml names, and what is wrong with it."""
    url = str(toml.get("url", ""))
    faults = [] if url.startswith("jdbc:postgresql:") else ["url must begin with jdbc:postgresql:"]
    if SECRETS.search(url):
        faults = ["url must hold no user and no password: use user, and password_env or password_file"]
    if "password" in toml:
        faults.append("a password may not stand in source.toml: name password_env or password_file")
    if "password_env" in toml and "password_file" in toml:
        faults.append("password_env and password_file exclude each other")
    server = Server(url, toml.get("user"), toml.get("password_env"), toml.get("password_file"))
    return (None if faults else server), faults


def extract_of(name: str, fields: Mapping[str, Any], key: Sequence[str]) -> tuple[Extract, list[str]]:
    """One [table.…] of a database source, and what is wrong with it."""
    extract = Extract(name=name, **fields)
    faults = [f"{n} must be a text" for n in TEXT_OPTIONS if not isinstance(getattr(extract, n), str | None)]
    if (extract.table is None) == (extract.query is None):
        faults.append("name either table or query")
    if not key:
        faults.append("key is needed: it tells whether a row is new")
    if (extract.lower is None) != (extract.upper is None):
        faults.append("lower and upper belong together")
    if extract.lower is not None and extract.partition_column is None:
        faults.append("lower and upper need partition_column")
    return extract, faults


def quoted(name: str) -> str:
    """A name as PostgreSQL takes it literally."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """A text as a constant of SQL; the server gives it the type of what it is compared with."""
    return "'" + text.replace("'", "''") + "'"


def bounds_query(extract: Extract, since: str | None) -> str:
    """One row: `high`, the greatest watermark from `since` on, and the bounds of the partition column, as text."""
    high = f"max({quoted(extract.watermark)})::text" if extract.watermark else "NULL::text"
    part = quoted(extract.partition_column) if extract.partition_column else None
    least, most = (f"{end}({part})::text" if part else "NULL::text" for end in ("min", "max"))
    asked = f"{high} AS high, {least} AS least, {most} AS most"
    return f"SELECT {asked} FROM {extract.origin}{_where(extract, since, None)}"


def rows_query(extract: Extract, columns: Sequence[str], since: str | None, until: str | None) -> str:
    """Every column as text, of the rows whose watermark lies from `since` to `until` or is null.

    From, not above: of two rows of one moment the second may have been committed after the last reading. What is
    read again unchanged is dropped later.
    """
    told = [f"{quoted(c)}::text AS {quoted(c)}" for c in columns]
    told += [f"{quoted(extract.partition_column)} AS {quoted(PARTITION)}"] if extract.partition_column else []
    return f"SELECT {', '.join(told)} FROM {extract.origin}{_where(extract, since, until)}"


def _where(extract: Extract, since: str | None, until: str | None) -> str:
    if extract.watermark is None or (since is None and until is None):
        return ""
    name = quoted(extract.watermark)
    limits = [f"{name} >= {literal(since)}"] if since is not None else []
    limits += [f"{name} <= {literal(until)}"] if until is not None else []
    return f" WHERE ({' AND '.join(limits)}) OR {name} IS NULL"


def as_records(
    answer: DataFrame, source: str, extract: Extract, key: Sequence[str], null: Sequence[str], *, batch: int
) -> DataFrame:
    """Rows like those of `sources.tables.read_records`; a row without a value of its key, or whose key another row has
    too, has a `reason_code`.

    `file` is the table's name, `file_sha256` stands for this reading of it, `row` is a hash of the record: a
    table has no line numbers.
    """
    columns = sorted(c for c in answer.columns if c != PARTITION)
    values = F.map_from_arrays(F.array(*[F.lit(c) for c in columns]), F.array(*[F.col(f"`{c}`") for c in columns]))
    markers = ["", *null]
    record = F.map_filter(values, lambda _, v: v.isNotNull() & ~F.trim(v).isin(markers))
    text = F.to_json(F.col("record"))
    absent = F.filter(F.array(*[F.lit(k) for k in key]), lambda k: F.try_element_at("record", k).isNull())
    said = F.concat(F.lit("No value for the key ("), F.array_join(absent, ", "), F.lit(")."))
    row, names = F.shiftrightunsigned(F.xxhash64(text), 1), F.array(*[F.col("record")[k] for k in key])
    by_key = Window.partitionBy(F.to_json(names))  # a key that stands twice with other values is no key
    reason = F.when(F.size(absent) > 0, "key_missing").when(F.min(row).over(by_key) != row, "key_repeated")
    is_bad = F.col("reason_code").isNotNull()
    is_deletion = F.lit(False) if extract.deleted is None else F.coalesce(
        F.col("record")[extract.deleted].try_cast("boolean"), F.lit(False)
    )  # fmt: skip
    place = f"{source}\n{extract.name}"  # a bad row is read each time: it stands in quarantine once
    told = answer.select(record.alias("record")).withColumns({"row": row, "reason_code": reason})
    return told.select(
        F.lit(source).alias("source"), F.lit(extract.name).alias("source_table"), F.lit(extract.name).alias("file"),
        F.sha2(F.when(is_bad, place).otherwise(f"{place}\n{batch}"), 256).alias("file_sha256"),
        "row", F.lit(batch).alias("batch"),
        F.sha2(text, 256).alias("row_hash"), "record", is_deletion.alias("is_deletion"),
        "reason_code", F.when(is_bad, F.when(F.size(absent) > 0, said).otherwise(REPEATED)).alias("detail"),
        F.when(is_bad, text).alias("raw"),
    )  # fmt: skip


def keep_changed(records: DataFrame, bronze: DataFrame, source: str, extract: Extract, key: Sequence[str]) -> DataFrame:
    """The records that are not what bronze knows as the newest of their key: a row read twice is taken once."""
    mine = bronze.where((F.col("source") == source) & (F.col("source_table") == extract.name))
    name = F.to_json(F.array(*[F.col("record")[k] for k in key]))
    last = Window.partitionBy("key").orderBy(F.desc("batch"), F.desc("file"), F.desc("row"))
    known = mine.select(name.alias("key"), "row_hash", "batch", "file", "row")
    newest = known.withColumn("nth", F.row_number().over(last)).where("nth = 1").select("key", "row_hash")
    fresh = records.withColumn("key", name).join(newest, on=["key", "row_hash"], how="left_anti")
    by_row = Window.partitionBy("key").orderBy("row")  # what is left with one key now is one row, given several times
    return fresh.withColumn("nth", F.row_number().over(by_row)).where("nth = 1").drop("key", "nth")
