"""What the Data Quality Dashboard asks of OMOP tables: conf/quality as data."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from medlake.grammar.errors import ConfigError

WORD = re.compile(r"^(?P<name>\w+)(?:=(?P<argument>[^%]+))?(?:%(?P<threshold>[\d.]+))?$")
OF_TABLE = ""  # the line of a table in fields.toml that holds the table's own checks
USUAL = ("cdmField", "measureValueCompleteness")  # of every field
REQUIRED, COMPLETE = "isRequired", "measureValueCompleteness"


@dataclass(frozen=True)
class Kind:
    """One of the 27 types. `threshold`: percent of the denominator that may be wrong."""

    name: str
    level: str
    category: str
    subcategory: str
    context: str
    threshold: float
    about: str


@dataclass(frozen=True)
class Asked:
    """One check that OHDSI asks of a table; field and concept are '' where it has none.

    `argument`: what the check needs beside its field. `ids`: the concepts it is about.
    """

    kind: Kind
    table: str
    field: str
    argument: str
    threshold: float
    concept: str = ""
    ids: tuple[int, ...] = ()


@dataclass(frozen=True)
class Definitions:
    """All that is asked, by table, and what of it blocks (check → fields, `*`: all)."""

    kinds: Mapping[str, Kind]
    asked: Mapping[str, tuple[Asked, ...]]
    blocking: Mapping[str, tuple[str, ...]]
    keys: Mapping[str, str]  # table → its primary key

    def blocks(self, check: str, field: str) -> bool:
        """Whether conf says that a failure stops the publication."""
        fields = self.blocking.get(check, ())
        return "*" in fields or field in fields


def definitions(checks: Mapping[str, Any], fields: Mapping[str, Any], concepts: Mapping[str, Any]) -> Definitions:
    """The three files of conf/quality as one.

    Raises:
        ConfigError: a word does not read, or names a check that is not in checks.toml.
    """
    kinds = {name: Kind(name, **said) for name, said in checks.get("check", {}).items()}
    unknown = sorted(set(checks.get("blocking", {})) - set(kinds))
    if unknown:
        raise ConfigError(f"conf/quality/checks.toml, [blocking]: there is no check {', '.join(unknown)}")
    asked: dict[str, tuple[Asked, ...]] = {}
    keys: dict[str, str] = {}
    for table, lines in fields.items():
        told = [_asked(kinds, table, field, line) for field, line in lines.items()]
        first = [a for row in told for a in row] + list(_of_concepts(kinds, table, concepts.get(table, {})))
        asked[table] = (Asked(kinds["cdmTable"], table, "", "", kinds["cdmTable"].threshold), *first)
        keys.update((table, a.field) for a in first if a.kind.name == "isPrimaryKey")
    blocking = {name: tuple(said) for name, said in checks.get("blocking", {}).items()}
    return Definitions(kinds, asked, blocking, keys)


def _asked(kinds: Mapping[str, Kind], table: str, field: str, line: str) -> list[Asked]:
    words = line.split()
    if field != OF_TABLE:
        declared = words[0]
        words = [*USUAL, *(["cdmDatatype"] if declared == "integer" else []), *words[1:]]
    needed = any(word.partition("%")[0] == REQUIRED for word in words)
    found = []
    for word in words:
        read = WORD.fullmatch(word)
        if read is None or read["name"] not in kinds:
            raise ConfigError(f"conf/quality/fields.toml, {table}.{field}: {word} is no check")
        kind = kinds[read["name"]]
        usual = 0.0 if kind.name == COMPLETE and needed else kind.threshold
        threshold = float(read["threshold"]) if read["threshold"] else usual
        argument = (read["argument"] or "").replace("_", " ") if kind.name.startswith("fk") else read["argument"] or ""
        found.append(Asked(kind, table, field, argument, threshold))
    return found


def _of_concepts(kinds: Mapping[str, Kind], table: str, said: Mapping[str, Any]) -> Iterator[Asked]:
    for field, checks in said.items():
        for name, rights in checks.items():
            kind = kinds[name]
            for right, ids in rights.items():
                for concept, about in _one_by_one(name, ids):
                    yield Asked(kind, table, field, right, kind.threshold, concept, about)


def _one_by_one(name: str, ids: Sequence[int]) -> Iterator[tuple[str, tuple[int, ...]]]:
    """A check for each concept, but one for all of those whose descendants count."""
    if name.endswith("UseDescendants"):
        yield ",".join(map(str, ids)), tuple(ids)
    else:
        yield from ((str(i), (i,)) for i in ids)
