"""The public test suite of SQL-on-FHIR v2, run without Spark; `python -m tests.spec.standards.view_suite` prints it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from medlake.grammar.errors import UsageError
from medlake.standards.views import compile_view

MISSED: dict[str, str] = {}  # "<file>: <title>" → why medlake does not pass it


@dataclass(frozen=True)
class Case:
    """One test of the suite."""

    file: str
    title: str
    resources: list[dict[str, Any]]
    said: dict[str, Any]

    @property
    def name(self) -> str:
        return f"{self.file}: {self.title}"


def cases(folder: Path) -> Iterator[Case]:
    """Every test of the suite's files, by file and place."""
    for path in sorted(folder.glob("*.json")):
        suite = json.loads(path.read_text(encoding="utf-8"), parse_float=Decimal)
        for said in suite["tests"]:
            yield Case(path.stem, said["title"], suite["resources"], said)


def failure(case: Case) -> str | None:
    """What is wrong with medlake's answer; None where it is the expected one."""
    try:
        view = compile_view(case.said["view"])
        found = [dict(zip([c.name for c in view.columns], row, strict=True)) for r in case.resources for row in view.rows(r)]
    except UsageError as fault:
        return None if case.said.get("expectError") else f"refused: {fault}"
    if case.said.get("expectError"):
        return "not refused"
    if "expectColumns" in case.said and [c.name for c in view.columns] != case.said["expectColumns"]:
        return f"columns {[c.name for c in view.columns]}"
    want, have = Counter(map(plain, case.said["expect"])), Counter(map(plain, found))
    return None if want == have else f"lacking {list((want - have).elements())}, extra {list((have - want).elements())}"


def plain(row: dict[str, Any]) -> str:
    """A row as comparable text: 5, 5.0 and Decimal(5) are one number."""
    return json.dumps({k: number(v) for k, v in row.items()}, sort_keys=True)


def number(value: Any) -> Any:
    return float(value) if isinstance(value, int | Decimal) and not isinstance(value, bool) else value


def main() -> None:
    """Print the tests that do not pass, and the sum."""
    from tests.shared import VIEW_SUITE

    found = {case.name: failure(case) for case in cases(VIEW_SUITE)}
    for name, wrong in found.items():
        if wrong:
            print(f"{name}: {wrong}")
    print(f"{sum(wrong is None for wrong in found.values())} of {len(found)} pass")


if __name__ == "__main__":
    main()
