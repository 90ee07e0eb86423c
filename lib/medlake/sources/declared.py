"""A source is a folder: source.toml says where its files lie and how they read, one .sql per silver table."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import translate
from typing import Any

from medlake.grammar.errors import ConfigError
from medlake.sources.database import Extract, Server, extract_of, server_of

FORMATS = ("csv", "fhir", "hl7", "jdbc", "dicom", "notes")
DEFAULT_FILES = {
    "fhir": ["*.ndjson", "*.ndjson.gz", "deleted/*"], "hl7": ["**/*.hl7", "**/*.hl7.gz"], "dicom": ["**/*"],
    "notes": ["*.txt"], "jdbc": [],
}  # fmt: skip
NULL_MARKERS = ("",)
SERVER_KEYS = {"url", "user", "password", "password_env", "password_file"}


@dataclass(frozen=True)
class Table:
    """One table of a CSV-like source; None means: detect it from the file."""

    name: str
    files: tuple[str, ...]
    key: tuple[str, ...] = ()
    deletes: tuple[str, ...] = ()
    separator: str | None = None
    encoding: str | None = None
    quote: str = '"'
    null: tuple[str, ...] = NULL_MARKERS


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

    def claims(self, file: str) -> tuple[str, bool] | None:
        """(table, is a deletion) for a file below the source's folder; None where no pattern fits."""
        for table in self.tables:
            for patterns, deletes in ((table.deletes, True), (table.files, False)):
                if any(matches(file, pattern) for pattern in patterns):
                    return table.name, deletes
        if any(matches(file, pattern) for pattern in self.files):
            return self.format, self.format == "fhir" and file.startswith("deleted/")
        return None


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
    known = {"about", "format", "patient_source", "table", "files", "name", "authority"} | SERVER_KEYS
    faults += [f"unknown key {key!r}" for key in sorted(set(toml) - known)]
    tables, extracts = [], []
    server, said = server_of(toml) if form == "jdbc" else (None, [])
    faults += said
    for table, fields in toml.get("table", {}).items():
        try:
            if form == "jdbc":
                own = {k: v for k, v in fields.items() if k not in ("key", "null")}
                extract, said = extract_of(table, own, fields.get("key", ()))
                extracts.append(extract)
                faults += [f"[table.{table}]: {fault}" for fault in said]
                fields = {"files": [], **{k: v for k, v in fields.items() if k in ("key", "null")}}
            tables.append(_table(table, fields))
        except (TypeError, KeyError) as fault:
            faults.append(f"[table.{table}]: {fault}")
    if form in ("csv", "jdbc") and not tables:
        faults.append(f"a {form} source needs at least one [table.…]")
    if "name" in toml:
        faults += _pattern_faults(str(toml["name"]))
    if faults:
        raise ConfigError(f"conf/sources/{name}/source.toml: " + "; ".join(faults))
    files = () if form == "csv" else _several(toml.get("files", DEFAULT_FILES[form]))
    return Source(
        name, form, str(toml.get("patient_source", name)), tuple(tables), files, toml.get("name"),
        {**shared, **sql}, toml.get("authority"), server, tuple(extracts),
    )  # fmt: skip


def _pattern_faults(pattern: str) -> list[str]:
    try:
        groups = re.compile(pattern).groupindex
    except re.error as fault:
        return [f"name: not a regular expression ({fault})"]
    return [] if "person_source_value" in groups else ["name: needs a group (?P<person_source_value>…)"]


def _table(name: str, fields: Mapping[str, Any]) -> Table:
    given = dict(fields)
    for several in ("files", "key", "deletes", "null"):
        if several in given:
            given[several] = _several(given[several])
    return Table(name=name, **given)


def _several(value: str | list[str]) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else tuple(value)
