"""The lake: tables by name, read at a known version and written by key, nothing else.

Zones are separate roots: LAKE/restricted holds bronze, quarantine and vault; LAKE/open the rest.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from delta.tables import DeltaTable
from pyspark.sql import Column, DataFrame, DataFrameWriter, SparkSession
from pyspark.sql import functions as F

from medlake.doors.access import AccessLog
from medlake.doors.commits import CommitBook
from medlake.doors.holding import Holding, holding
from medlake.doors.merging import counted, difference
from medlake.grammar.contract import Promise, conform, promise
from medlake.grammar.errors import ContractError, DamagedLakeError

RESTRICTED = ("bronze", "quarantine", "vault")
# Readers without Spark (delta-rs, DuckDB, polars) cannot read deletion vectors.
TABLE_PROPERTIES = {"delta.enableDeletionVectors": "false", "delta.logRetentionDuration": "interval 90 days"}
SKIPPED_BY = ("string", "int", "bigint", "double", "date", "timestamp")  # of what types Delta keeps such statistics
FEW = 200_000  # rows that every executor may hold
FOLLOWED = ("bronze.", "vault.")  # tables of which `changes` can tell what is new since a version

Within = Callable[[DataFrame], DataFrame]


@dataclass(frozen=True)
class Audit:
    """What looks at rows before they are published.

    `judge` is given the candidate and raises where it may not be published. It is asked only where a key stands twice,
    a promised value is null, or a row names nobody of `persons` (person_id, each once; None: not looked at), for these
    are counted on the way; `always`: in any case.
    """

    judge: Callable[[DataFrame], None]
    persons: Callable[[], DataFrame] | None = None
    always: bool = False


@dataclass(frozen=True)
class Changes:
    """What a merge did, in rows."""

    inserted: int = 0
    updated: int = 0
    deleted: int = 0
    rows: int = 0  # that the merge was given

    @property
    def total(self) -> int:
        return self.inserted + self.updated + self.deleted


@dataclass
class Activity:
    """Table versions read and written since the last `take`, for the ledger."""

    read: dict[str, int] = field(default_factory=dict)
    written: dict[str, int] = field(default_factory=dict)
    held: dict[str, int] = field(default_factory=dict)  # silver and gold as they are left, written or not
    changed: dict[str, Changes] = field(default_factory=dict)


class Lake:
    """One lake on a file system that every Spark process reaches.

    `access`: where each reading of the restricted zone is written down before it happens.
    """

    def __init__(self, spark: SparkSession, root: Path, access: AccessLog | None = None) -> None:
        self.spark, self.root, self.access = spark, root, access
        self.activity = Activity()
        self._book = CommitBook(root)
        self._lock = threading.Lock()

    def path(self, name: str) -> str:
        """Where the table `layer.table` lies."""
        layer, _, table = name.partition(".")
        zone = "restricted" if layer in RESTRICTED else "open"
        return str(self.root / zone / layer / table)

    def version(self, name: str) -> int | None:
        """The newest version of a table, or None where it does not exist yet."""
        snapshot = self._snapshot(name)
        return None if snapshot is None else int(snapshot.version())

    def size_bytes(self, *names: str) -> int:
        """How large the files of the tables' newest versions are."""
        return sum(map(self._size_bytes, names))

    def _size_bytes(self, name: str) -> int:
        snapshot = self._snapshot(name)
        if snapshot is None:
            return 0
        held = self._holding(name, int(snapshot.version()))
        return int(snapshot.sizeInBytes()) if held is None else held.size_bytes

    def _snapshot(self, name: str) -> Any:
        if not DeltaTable.isDeltaTable(self.spark, self.path(name)):
            return None
        jvm: Any = self.spark._jvm
        none, session = jvm.scala.Option.empty(), self.spark._jsparkSession
        return jvm.org.apache.spark.sql.delta.DeltaLog.forTable(session, self.path(name)).update(False, none, none)

    def read(self, name: str) -> DataFrame:
        """The table as its promise says it; an absent table reads as one without rows."""
        version = self.version(name)
        if version is not None:
            with self._lock:
                self.activity.read.setdefault(name, version)
            self._tell(name, version)
        return self._rows(name, version)

    def _rows(self, name: str, version: int | None) -> DataFrame:
        """The table's rows at a version. Where it has none the plan says so, and what needs some is left out.

        Raises:
            DamagedLakeError: files of rows are gone.
        """
        to, held = promise(name), self._holding(name, version)
        if version is None or (held is not None and not held.files):
            return self.spark.createDataFrame([], to.schema)
        if held is None:
            reader = self.spark.read.format("delta").option("versionAsOf", version)
            return conform(reader.load(self.path(name)), to)
        gone = [file.name for file in held.files if not file.is_file()]
        if gone:
            raise DamagedLakeError(
                f"{name}: {len(gone)} file(s) of rows of version {version} are gone, {gone[0]} first. Put them back "
                "from a backup; a silver or gold table may instead be removed together with its lines in commits.jsonl."
            )
        return conform(self.spark.read.schema(held.schema).parquet(*map(str, held.files)), to)

    def _holding(self, name: str, version: int | None) -> Holding | None:
        return None if version is None else holding(Path(self.path(name)), version)

    def _is_empty(self, name: str, version: int | None) -> bool:
        """Whether the table is known to have no rows (None: no table)."""
        held = self._holding(name, version)
        return version is None or (held is not None and not held.files)

    def changes(self, name: str, since: int | None) -> DataFrame:
        """The rows that came, went or were altered after version `since` (None: all), as they were and as they are."""
        now, to = self.version(name), promise(name)
        if now is None or now == since:
            return self.spark.createDataFrame([], to.schema)
        if since is None:
            return self.read(name)
        self._tell(name, now)
        reader = self.spark.read.format("delta").option("readChangeFeed", "true")
        told = reader.option("startingVersion", since + 1).option("endingVersion", now).load(self.path(name))
        return conform(told.select(*to.columns), to)

    def _tell(self, name: str, version: int) -> None:
        if self.access is not None and name.partition(".")[0] in RESTRICTED:
            self.access.read(name, version)

    def append(self, name: str, rows: DataFrame, *, txn: tuple[str, int] | None = None) -> None:
        """Add rows. Once, where `txn` (application, number) is given: a second call with the same changes nothing.

        To know that, Delta reads the whole log of the table: rows that nobody can send twice go without it.
        """
        writer = _writer(name, conform(rows, promise(name)), "append")
        if txn is not None:
            writer = writer.option("txnAppId", txn[0]).option("txnVersion", txn[1])
        writer.save(self.path(name))
        self._wrote(name, Changes())

    def merge(
        self, name: str, rows: DataFrame, *, scope: Column | None = None, keep: bool = False,
        within: Within | None = None, audit: Audit | None = None,
    ) -> Changes:
        """Make the table hold exactly `rows`: insert, update and delete by the promise's key.

        `scope`: only table rows for which it holds may be deleted (default: all). `keep`: delete nothing.
        `within`: chooses those of the table's rows that `rows` stand for; the others are not looked at, and `rows`
        has none of their keys. `audit`: looks at the candidate before anything is written; what it raises leaves the
        table as it was. The candidate is `rows`, and what else in the table has one of their keys.
        A merge that would change nothing makes no new version.

        Raises:
            ContractError: a key stands twice, or a promised value is null.
        """
        to, version = promise(name), self.version(name)
        # A local checkpoint, not a cache: it cuts the plan, and a cache is planned again at every use.
        fresh = conform(rows, to).localCheckpoint()
        n_rows, faults = counted(fresh, to, audit.persons() if audit and audit.persons else None)
        if audit is not None:
            others = self._of_same_key(name, version, F.broadcast(fresh) if n_rows <= FEW else fresh, within)
            if faults or audit.always or (others is not None and others.limit(1).count()):
                audit.judge(fresh if others is None else fresh.unionByName(others))
        if faults:
            raise ContractError(name, faults)
        if version is None:
            return self._create(name, fresh, Changes(inserted=n_rows, rows=n_rows))
        if not n_rows and (keep or self._is_empty(name, version)):
            self._leaves(name)
            return Changes()
        return replace(self._merge(name, version, fresh, F.lit(False) if keep else scope, within), rows=n_rows)

    def _of_same_key(self, name: str, version: int | None, fresh: DataFrame, within: Within | None) -> DataFrame | None:
        """Rows that a merge would overwrite although `fresh` does not stand for them; None: there can be none."""
        if within is None or self._is_empty(name, version):
            return None
        to = promise(name)
        same = self._rows(name, version).join(fresh.select(*to.key), on=list(to.key), how="left_semi")
        others = same.join(within(same).select(*to.key), on=list(to.key), how="left_anti")
        return others.select(*to.columns)

    def remove(self, name: str, keys: DataFrame) -> int:
        """Delete the rows with these keys (the promise's key columns); returns how many.

        No value of theirs enters the history of the table: the keys come as rows, not as words of a condition.
        """
        version, to = self.version(name), promise(name)
        if version is None:
            return 0
        wanted = keys.select(*to.key).distinct()
        gone = self._rows(name, version).join(wanted, on=list(to.key), how="left_semi").localCheckpoint()
        n = gone.count()
        if n:
            on = " AND ".join(f"t.`{k}` <=> s.`{k}`" for k in to.key)
            target = DeltaTable.forPath(self.spark, self.path(name)).alias("t")
            target.merge(gone.select(*to.key).alias("s"), on).whenMatchedDelete().execute()
            self._wrote(name, Changes(deleted=n))
        self._leaves(name)
        return n

    def noted(self, name: str) -> None:
        """Note a commit that changed no row."""
        version = self.version(name)
        assert version is not None
        self._book.note(Path(self.path(name)), version)

    def _create(self, name: str, fresh: DataFrame, changes: Changes) -> Changes:
        _writer(name, fresh, "errorifexists").save(self.path(name))
        self._wrote(name, changes)
        self._leaves(name)
        return changes

    def _merge(self, name: str, version: int, fresh: DataFrame, scope: Column | None, within: Within | None) -> Changes:
        table, to = self._rows(name, version), promise(name)
        diff = difference(within(table) if within else table, fresh, to, scope).localCheckpoint()
        counts = {str(r["change"]): int(r["count"]) for r in diff.groupBy("change").count().collect()}
        changes = Changes(counts.get("insert", 0), counts.get("update", 0), counts.get("delete", 0))
        if changes.total == changes.inserted > 0:  # nothing to rewrite: an append is a fraction of a MERGE
            diff.select(*to.columns).write.format("delta").mode("append").save(self.path(name))
            self._wrote(name, changes)
        elif changes.total:
            on = " AND ".join(f"t.`{k}` <=> s.`{k}`" for k in to.key)
            every = {f"`{c}`": f"s.`{c}`" for c in to.columns}
            (
                DeltaTable.forPath(self.spark, self.path(name)).alias("t")
                .merge(diff.alias("s"), on)
                .whenMatchedDelete("s.change = 'delete'")
                .whenMatchedUpdate(set=every)
                .whenNotMatchedInsert(values=every)
                .execute()
            )  # fmt: skip
            self._wrote(name, changes)
        self._leaves(name)
        return changes

    def _leaves(self, name: str) -> None:
        version = self.version(name)
        if version is not None and name.startswith(("silver.", "gold.")):
            with self._lock:
                self.activity.held[name] = version

    def _wrote(self, name: str, changes: Changes) -> None:
        version = self.version(name)
        assert version is not None
        self._book.note(Path(self.path(name)), version)
        with self._lock:
            self.activity.written[name] = version
            self.activity.changed[name] = changes

    def take_activity(self) -> Activity:
        """What was read and written since the last call."""
        with self._lock:
            taken, self.activity = self.activity, Activity()
        return taken


def _writer(name: str, rows: DataFrame, mode: str) -> DataFrameWriter:
    options = TABLE_PROPERTIES | ({"delta.enableChangeDataFeed": "true"} if name.startswith(FOLLOWED) else {})
    searched = _searched(promise(name))
    options |= {"delta.dataSkippingStatsColumns": ",".join(searched)} if searched else {}
    return rows.write.format("delta").mode(mode).options(**options)


def _searched(to: Promise) -> list[str]:
    """The columns by which files are skipped: statistics of every column would cost a fifth of a write."""
    by = (*to.key, "person_id", "source", "batch")
    return [c.name for c in to.columns.values() if c.name in by and c.type in SKIPPED_BY]
