"""The sources of this lake, and the mapped rows of each: conf/ and bronze in, DataFrames out."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from functools import partial, reduce
from typing import Any

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from medlake.clean.judge import Event, mapped_union, typed
from medlake.doors.lake import Lake
from medlake.doors.settings import Conf, laid_over
from medlake.grammar.errors import ConfigError, InputRefusedError
from medlake.sources.declared import Source, Table, declared
from medlake.sources.hl7_views import hl7_views, merged_keys, segments
from medlake.sources.mapping import map_by_sql
from medlake.sources.raster import picture_view
from medlake.sources.views import fhir_views, note_view, table_view
from medlake.steps.context import Context
from medlake.steps.settled import Once, settled

TARGETS = {
    "csv": "csv_record", "fhir": "fhir_resource", "hl7": "hl7_message", "notes": "note_document",
    "dicom": "dicom_object", "raster": "raster_image",
}  # fmt: skip
HOLDERS = (*TARGETS.values(), "dicom_directory")  # where what came in may stand
SMALL = 16_000_000  # bytes of a bronze table up to which it is read once, not anew for every view


def in_bronze(lake: Lake, *columns: str) -> DataFrame:
    """The columns of every record that was taken in, whatever its format."""
    parts = [lake.read(f"bronze.{name}").select(*columns) for name in HOLDERS]
    return reduce(DataFrame.unionByName, parts)


def next_batch(ctx: Context, *more: DataFrame) -> int:
    """A number above that of every batch, those that a killed reading left behind and those of `more` too."""
    seen = (ctx.lake.read("ops.batch"), ctx.lake.read("bronze.landing_file"), *more)
    batches = reduce(DataFrame.unionByName, [table.select("batch") for table in seen])
    row = batches.agg(F.max("batch").alias("batch")).first()
    return int((row["batch"] if row else None) or 0) + 1


def all_sources(conf: Conf) -> dict[str, Source]:
    """Every source by name.

    Raises:
        ConfigError: a source's folder is faulty.
    """
    found = {}
    for name in conf.folders("sources"):
        toml, ready = source_toml(conf, name)
        shared = conf.texts("formats", str(toml.get("format", "csv")), suffix=".sql")
        found[name] = declared(name, toml, {**ready, **conf.texts("sources", name, suffix=".sql")}, shared)
    unknown = sorted({s.patient_source for s in found.values()} - set(found))
    if unknown:
        raise ConfigError(f"patient_source names sources that do not exist: {', '.join(unknown)}")
    return found


def source_toml(conf: Conf, name: str) -> tuple[dict[str, Any], dict[str, str]]:
    """A source's declaration, laid over the ready-made one that its `library` names; and the latter's mappings.

    Raises:
        ConfigError: there is no such ready-made source.
    """
    said = conf.toml("sources", name, "source.toml")
    library = said.pop("library", None)
    if library is None:
        return said, {}
    if library not in conf.folders("library"):
        known = ", ".join(conf.folders("library"))
        raise ConfigError(f"conf/sources/{name}/source.toml: there is no library {library!r}; known: {known}")
    ready = conf.toml("library", str(library), "source.toml")
    return laid_over(ready, said), conf.texts("library", str(library), suffix=".sql")


Keep = Callable[[DataFrame], DataFrame]


class Bronze(Mapping[str, DataFrame]):
    """The bronze tables by name; a small one is read where it is first asked for, and kept.

    Some twenty views look into one table, and to find the files of each takes longer than to read a small table.
    """

    def __init__(self, lake: Lake) -> None:
        read = {name: lake.read(f"bronze.{name}") for name in HOLDERS}
        self._rows = {name: Once(partial(_kept, lake, f"bronze.{name}", rows)) for name, rows in read.items()}

    def __getitem__(self, name: str) -> DataFrame:
        return self._rows[name]()

    def __iter__(self) -> Iterator[str]:
        return iter(self._rows)

    def __len__(self) -> int:
        return len(self._rows)


def _kept(lake: Lake, table: str, rows: DataFrame) -> DataFrame:
    return settled(rows) if lake.size_bytes(table) <= SMALL else rows


class Mapped:
    """The mapped rows of every source, per silver table; a source whose SQL fails is refused, others go on.

    `bronze`: the records to map by bronze table (default: all). `keep`: chooses the mapped rows that are wanted.
    """

    def __init__(
        self, ctx: Context, bronze: Mapping[str, DataFrame] | None = None, keep: Keep | None = None
    ) -> None:
        self.ctx = ctx
        self.sources = all_sources(ctx.conf)
        self.bronze = bronze or Bronze(ctx.lake)
        self._keep = keep
        self._views: dict[str, dict[str, DataFrame]] = {}
        self._lock = threading.Lock()  # tables are mapped side by side
        present = ctx.lake.read("bronze.landing_file").select("source").distinct()
        self.present = {row["source"] for row in present.limit(10_000).collect()}  # bounded by conf/sources
        self._columns = self._known_columns()
        self.present |= {source for source, _ in self._columns}  # databases have no files

    def _known_columns(self) -> dict[tuple[str, str], list[str]]:
        seen = self.ctx.lake.read("bronze.source_column").orderBy("source", "source_table", "column")
        columns: dict[tuple[str, str], list[str]] = {}
        for row in seen.limit(100_000).collect():  # bounded by the columns of the sources, not by their rows
            columns.setdefault((row["source"], row["source_table"]), []).append(row["column"])
        return columns

    def views(self, source: Source) -> dict[str, DataFrame]:
        """The views that the source's SQL reads, by name."""
        with self._lock:
            if source.name not in self._views:
                self._views[source.name] = self._make_views(source)
            return self._views[source.name]

    def _make_views(self, source: Source) -> dict[str, DataFrame]:
        if source.format == "fhir":
            shapes = self.ctx.conf.texts("formats", "fhir", suffix=".ddl")
            return fhir_views(self.bronze["fhir_resource"], source, shapes)
        if source.format == "hl7":
            messages = self.bronze["hl7_message"].where(F.col("source") == source.name)
            told = segments(messages, self.ctx.conf.texts("formats", "hl7", suffix=".ddl"))
            return hl7_views(told, settled(merged_keys(told)))
        if source.format == "notes":
            return {"note_document": note_view(self.bronze["note_document"], source)}
        views = {"raster_image": self._pictures(source)} if source.format == "raster" else {}
        views |= {
            t.name: table_view(self.bronze["csv_record"], source, t.name, columns)
            for t in source.tables
            if (columns := self._columns_of(source.name, t))
        }
        for name, sql in source.views.items() if views else ():
            views[name] = map_by_sql(source.name, f"[view.{name}]", sql, views)
        return views

    def _pictures(self, source: Source) -> DataFrame:
        return picture_view(self.bronze["raster_image"], self.ctx.lake.read("bronze.landing_file"), source)

    def _columns_of(self, source: str, table: Table) -> list[str]:
        """The columns that the table has ever brought, and those it is declared to bring."""
        known = {c.casefold(): c for c in self._columns.get((source, table.name), [])}
        declared = {c.casefold(): c for c in (*table.key, *table.columns, *table.optional) if table.columns}
        return list({**known, **declared}.values())

    def of(self, table: str) -> dict[str, tuple[str, DataFrame]]:
        """source → (patient source, rows of its SQL for the silver table)."""
        found = {}
        for source in self.sources.values():
            if table in source.mappings and source.name in self.present and source.format != "dicom":
                try:
                    views = self.views(source)
                    if not views:
                        continue
                    rows = map_by_sql(source.name, table, source.mappings[table], views)
                except InputRefusedError as fault:
                    self.refuse(source.name, table, fault)
                else:
                    found[source.name] = (source.patient_source, rows)
        return found

    def rows(
        self, event: Event, extra: Mapping[str, tuple[str, DataFrame]] | None = None
    ) -> DataFrame | None:
        """All mapped rows of a table as text, one shape; None where no source maps it."""
        fit = self.fit(event, {**self.of(event.table), **(extra or {})})
        return self.kept(mapped_union(event, fit)) if fit else None

    def fit(
        self, event: Event, parts: Mapping[str, tuple[str, DataFrame]]
    ) -> dict[str, tuple[str, DataFrame]]:
        """The sources whose rows fit the table; one that gives columns the table does not take is refused."""
        fit = {}
        for source, (patients, rows) in parts.items():
            try:
                mapped_union(event, {source: (patients, rows)})
            except InputRefusedError as fault:
                self.refuse(source, event.table, fault)
            else:
                fit[source] = (patients, rows)
        return fit

    def kept(self, rows: DataFrame) -> DataFrame:
        """Those of the mapped rows that are wanted."""
        return self._keep(rows) if self._keep else rows

    def typed(self, event: Event) -> DataFrame | None:
        """The mapped rows with their types."""
        rows = self.rows(event)
        return None if rows is None else typed(rows.localCheckpoint(), event)

    def refuse(self, source: str, subject: str, fault: InputRefusedError) -> None:
        """A source whose mapping of one table fails; the others go on."""
        self.ctx.refuse(source, subject, str(fault))


def patients_of(sources: Mapping[str, Source]) -> dict[str, str]:
    """source → the source whose patient keys it uses."""
    return {s.name: s.patient_source for s in sources.values()}


def count_all(frame: DataFrame) -> int:
    """The number of rows."""
    row = frame.agg(F.count(F.lit(1)).alias("n")).first()
    return int(row["n"]) if row else 0


def counts_of(tables: Mapping[str, DataFrame]) -> dict[str, int]:
    """Name → the number of rows, of all of them in one query."""
    if not tables:
        return {}
    counts = [t.agg(F.count(F.lit(1)).alias("n")).select(F.lit(name).alias("name"), "n") for name, t in tables.items()]
    return {row["name"]: int(row["n"]) for row in reduce(DataFrame.unionByName, counts).collect()}
