"""A source is a folder: source.toml says where its files lie and how they read, one .sql per silver table."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import translate
from typing import Any

from medlake.grammar.errors import ConfigError
from medlake.sources.database import Extract, Server, extract_of, server_of

FORMATS = ("csv", "fhir", "hl7", "jdbc", "dicom", "notes", "raster")
DEFAULT_FILES = {
    "fhir": ["*.ndjson", "*.ndjson.gz", "*.json", "*.json.gz", "deleted/*"],
    "hl7": ["**/*.hl7", "**/*.hl7.gz"], "dicom": ["**/*"], "notes": ["*.txt"], "jdbc": [],
    "raster": ["**/*.[pP][nN][gG]", "**/*.[jJ][pP][gG]", "**/*.[jJ][pP][eE][gG]", "**/*.[tT][iI][fF]",
               "**/*.[tT][iI][fF][fF]"],
}  # fmt: skip
NULL_MARKERS = ("",)
SERVER_KEYS = {"url", "user", "password", "password_env", "password_file"}


@dataclass(frozen=True)
class Table:
    """One table of a CSV-like source; None means: detect it from the file.

    `columns`: what each file brings, in order where it has no header. `fixed`: (column, first character from 1,
    width) of a table without separators. `section`: the first name of the header that opens this table's block,
    in a file that holds several tables with a blank line between them. `optional`: columns a file may lack.
    `patient`: the column that the mappings give as person_source_value, unchanged. Where it is said, and no row of
    one patient is made from another one's records, new records cost only the patients they are of.
    """

    name: str
    files: tuple[str, ...]
    key: tuple[str, ...] = ()
    deletes: tuple[str, ...] = ()
    separator: str | None = None
    encoding: str | None = None
    quote: str = '"'
    null: tuple[str, ...] = NULL_MARKERS
    columns: tuple[str, ...] = ()
    header: bool = True
    fixed: tuple[tuple[str, int, int], ...] = ()
    section: str | None = None
    optional: tuple[str, ...] = ()
    patient: str | None = None

    def claims(self, file: str) -> bool:
        """Whether a file below the source's folder holds records of this table."""
        return any(matches(file, pattern) for pattern in self.files)


@dataclass(frozen=True)
class Source:
    """One source system as its folder declares it."""

    name: str
    format: str
    patient_source: str
    tables: tuple[Table, ...]
    files: tuple[str, ...]
    name_pattern: str | None
    mappings: Mapping[str, str]  # silver table → SQL
    authority: str | None = None  # hl7: whose identifier of PID-3 (component 4) is the patient's key
    server: Server | None = None  # jdbc: where to ask
    extracts: tuple[Extract, ...] = ()  # jdbc: what to ask for, one per table
    views: Mapping[str, str] = field(default_factory=dict)  # name → SQL over the tables, for the mappings

    def claims(self, file: str) -> tuple[str, bool] | None:
        """(table, is a deletion) for a file below the source's folder; None where no pattern fits."""
        for table in self.tables:
            for patterns, deletes in ((table.deletes, True), (table.files, False)):
                if any(matches(file, pattern) for pattern in patterns):
                    return table.name, deletes
        if any(matches(file, pattern) for pattern in self.files):
            return self.format, self.format == "fhir" and file.startswith("deleted/")
        return None

    def form_of(self, table: str) -> str:
        """How the files of a table are read: a raster source's tables, which tell of its pictures, are CSV."""
        return "csv" if self.format == "raster" and table != self.format else self.format

    def sections(self, file: str) -> tuple[Table, ...]:
        """The tables whose blocks a file holds; none where it is a file of one table."""
        return tuple(t for t in self.tables if t.section and t.claims(file))


def matches(file: str, pattern: str) -> bool:
    """Whether a path matches a glob; `**/` also matches no folder at all, `*` stays within one folder."""
    if pattern.startswith("**/") and matches(file, pattern[3:]):
        return True
    regex = translate(pattern)
    if "**" not in pattern:
        regex = regex.replace(".*", "[^/]*")
    return re.match(regex, file) is not None


def declared(name: str, toml: Mapping[str, Any], sql: Mapping[str, str], shared: Mapping[str, str]) -> Source:
    """Read a source's declaration. `shared`: the format's own mappings, under the source's.

    Raises:
        ConfigError: lists every fault of the folder at once.
    """
    form = str(toml.get("format", "csv"))
    faults = [f"unknown format {form!r}; known: {', '.join(FORMATS)}"] if form not in FORMATS else []
    known = {"about", "format", "patient_source", "table", "files", "name", "authority", "view"} | SERVER_KEYS
    faults += [f"unknown key {key!r}" for key in sorted(set(toml) - known)]
    tables, extracts = [], []
    server, said = server_of(toml) if form == "jdbc" else (None, [])
    faults += said
    for table, fields in toml.get("table", {}).items():
        try:
            if form == "jdbc":
                own = {k: v for k, v in fields.items() if k not in ("key", "null", "patient")}
                extract, said = extract_of(table, own, fields.get("key", ()))
                extracts.append(extract)
                faults += [f"[table.{table}]: {fault}" for fault in said]
                fields = {"files": [], **{k: v for k, v in fields.items() if k in ("key", "null", "patient")}}
            tables.append(_table(table, fields))
        except (TypeError, KeyError, ValueError) as fault:
            faults.append(f"[table.{table}]: {fault}")
        else:
            faults += [] if form == "jdbc" else [f"[table.{table}]: {fault}" for fault in _table_faults(tables[-1])]
    if form in ("csv", "jdbc") and not tables:
        faults.append(f"a {form} source needs at least one [table.…]")
    faults += [f"[view.{view}]: needs sql" for view, said in toml.get("view", {}).items() if "sql" not in said]
    if "name" in toml:
        faults += _pattern_faults(str(toml["name"]))
    if faults:
        raise ConfigError(f"conf/sources/{name}/source.toml: " + "; ".join(faults))
    files = () if form == "csv" else _several(toml.get("files", DEFAULT_FILES[form]))
    return Source(
        name, form, str(toml.get("patient_source", name)), tuple(tables), files, toml.get("name"),
        {**shared, **sql}, toml.get("authority"), server, tuple(extracts),
        {view: str(said["sql"]) for view, said in toml.get("view", {}).items()},
    )  # fmt: skip


def _pattern_faults(pattern: str) -> list[str]:
    try:
        groups = re.compile(pattern).groupindex
    except re.error as fault:
        return [f"name: not a regular expression ({fault})"]
    return [] if "person_source_value" in groups else ["name: needs a group (?P<person_source_value>…)"]


def _table(name: str, fields: Mapping[str, Any]) -> Table:
    given = dict(fields)
    for several in ("files", "key", "deletes", "null", "columns", "optional"):
        if several in given:
            given[several] = _several(given[several])
    if "fixed" in given:
        given["fixed"] = tuple((n, int(start), int(width)) for n, (start, width) in given["fixed"].items())
        given.setdefault("header", False)
        given["columns"] = tuple(n for n, _, _ in given["fixed"])
    return Table(name=name, **given)


def _table_faults(table: Table) -> list[str]:
    faults = []
    if not table.header and not table.columns:
        faults.append("a table without header needs columns = […]")
    if any(start < 1 or width < 1 for _, start, width in table.fixed):
        faults.append("fixed = { column = [first character from 1, width] }")
    if table.section and (table.fixed or not table.header):
        faults.append("a section is known by its header")
    named = {*table.key, *table.optional, *([table.patient] if table.patient else [])}
    lost = sorted(named - set(table.columns)) if not table.header else []
    return faults + [f"{column} is not among its columns" for column in lost]


def reads(source: Source, form: str) -> bool:
    """Whether a source may bring files that are read as `form`."""
    return form == source.format or (form == "csv" and source.format == "raster")


def _several(value: str | list[str]) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else tuple(value)
