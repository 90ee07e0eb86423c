"""FHIRPath's functions: name → (fewest arguments, most, maker of the function of focus and scope)."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from medlake.standards.operators import Items, fault, one, same, truth
from medlake.standards.paths import Path, Scope, each, members

REFERENCE = re.compile(r"(?:^|/)([A-Z][A-Za-z]+)/([A-Za-z0-9\-.]{1,64})(?:/_history/[A-Za-z0-9\-.]{1,64})?$")
URN = re.compile(r"urn:(?:uuid|oid):(.+)")


def _where(criteria: Path) -> Path:
    def run(items: Items, scope: Scope) -> Items:
        verdicts = each(items, scope, criteria)
        return [item for item, said in zip(items, verdicts, strict=True) if truth(said, "where()")]

    return run


def _exists(criteria: Path | None = None) -> Path:
    if criteria is None:
        return lambda items, scope: [bool(items)]
    fit = _where(criteria)
    return lambda items, scope: [bool(fit(items, scope))]


def _all(criteria: Path) -> Path:
    return lambda items, scope: [all(truth(said, "all()") for said in each(items, scope, criteria))]


def _select(path: Path) -> Path:
    return lambda items, scope: [item for found in each(items, scope, path) for item in found]


def _not() -> Path:
    def run(items: Items, scope: Scope) -> Items:
        said = truth(items, "not()")
        return [] if said is None else [not said]

    return run


def _extension(url: Path) -> Path:
    def run(items: Items, scope: Scope) -> Items:
        wanted = one(url(items, scope), "extension()")
        return [e for e in members(items, "extension") if isinstance(e, dict) and e.get("url") == wanted]

    return run


def _join(separator: Path | None = None) -> Path:
    def run(items: Items, scope: Scope) -> Items:
        between = one(separator(items, scope), "join()") if separator else ""
        if any(not isinstance(item, str) for item in items):
            raise fault("join() takes texts")
        return [str(between or "").join(items)]

    return run


def _resource_key() -> Path:
    return lambda items, scope: [i["id"] for i in items if isinstance(i, dict) and "resourceType" in i and "id" in i]


def _reference_key(kind: Path | None = None) -> Path:
    """The id that a reference ends in; of another type than asked for: nothing. A contained resource has no key."""

    def run(items: Items, scope: Scope) -> Items:
        wanted = one(kind(items, scope), "getReferenceKey()") if kind else None
        found = []
        for item in items:
            said = item.get("reference") if isinstance(item, dict) else None
            if not isinstance(said, str):
                continue
            if (urn := URN.fullmatch(said)) is not None:
                told = item.get("type")
                found += [urn[1]] if wanted is None or told == wanted else []
            elif (known := REFERENCE.search(said)) is not None and wanted in (None, known[1]):
                found.append(known[2])
        return found

    return run


def _iif(criteria: Path, then: Path, otherwise: Path | None = None) -> Path:
    def run(items: Items, scope: Scope) -> Items:
        if truth(criteria(items, scope), "iif()"):
            return then(items, scope)
        return otherwise(items, scope) if otherwise else []

    return run


def _distinct() -> Path:
    def run(items: Items, scope: Scope) -> Items:
        found: Items = []
        for item in items:
            if not any(same(item, known) for known in found):
                found.append(item)
        return found

    return run


def as_text(value: Any) -> str:
    """A value as FHIR writes it; an element as JSON."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str | int | Decimal):
        return str(value)
    return json.dumps(value, ensure_ascii=False, default=_number)


def _number(value: Any) -> Any:
    return int(value) if value == value.to_integral_value() else float(value)


def _textual(name: str, work: Callable[..., Any]) -> Callable[..., Path]:
    """A function of one text and texts."""

    def make(*args: Path) -> Path:
        def run(items: Items, scope: Scope) -> Items:
            value = one(items, f"{name}()")
            given = [one(arg(items, scope), f"{name}()") for arg in args]
            if value is None or None in given:
                return []
            if any(not isinstance(text, str) for text in [value, *given]):
                raise fault(f"{name}() takes texts")
            return [work(value, *given)]

        return run

    return make


def _to_string() -> Path:
    def run(items: Items, scope: Scope) -> Items:
        value = one(items, "toString()")
        return [] if value is None or isinstance(value, dict) else [as_text(value)]

    return run


def _plain(work: Callable[[Items], Items]) -> Callable[[], Path]:
    return lambda: lambda items, scope: work(items)


def _boundary() -> Path:
    raise AssertionError("paths makes the boundaries: they need the column's type")


FUNCTIONS: dict[str, tuple[int, int, Callable[..., Path]]] = {
    "where": (1, 1, _where),
    "exists": (0, 1, _exists),
    "all": (1, 1, _all),
    "select": (1, 1, _select),
    "empty": (0, 0, _plain(lambda items: [not items])),
    "count": (0, 0, _plain(lambda items: [len(items)])),
    "first": (0, 0, _plain(lambda items: items[:1])),
    "last": (0, 0, _plain(lambda items: items[-1:])),
    "not": (0, 0, _not),
    "distinct": (0, 0, _distinct),
    "iif": (2, 3, _iif),
    "extension": (1, 1, _extension),
    "join": (0, 1, _join),
    "getResourceKey": (0, 0, _resource_key),
    "getReferenceKey": (0, 1, _reference_key),
    "lowBoundary": (0, 0, _boundary),
    "highBoundary": (0, 0, _boundary),
    "toString": (0, 0, _to_string),
    "startsWith": (1, 1, _textual("startsWith", str.startswith)),
    "endsWith": (1, 1, _textual("endsWith", str.endswith)),
    "contains": (1, 1, _textual("contains", str.__contains__)),
    "upper": (0, 0, _textual("upper", str.upper)),
    "lower": (0, 0, _textual("lower", str.lower)),
    "length": (0, 0, _textual("length", len)),
}
