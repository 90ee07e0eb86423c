"""The list of planted faults: faults.toml tells what each is, the generator where and whose it is."""

import tomllib
from dataclasses import astuple, dataclass, field, fields
from pathlib import Path
from typing import Any

from .files import csv_line, write_bytes


@dataclass(frozen=True)
class Plant:
    """One planted fault; the meaning of each column is told in samples/README.md."""

    plant_id: str
    night: int
    source: str
    source_table: str
    file: str
    kind: str
    fate: str
    code: str
    silver_table: str
    person_source_value: str
    needle: str
    expected_rows: int
    why: str


def _faults() -> dict[str, dict[str, Any]]:
    return tomllib.loads(Path(__file__).with_name("faults.toml").read_text(encoding="utf-8"))


@dataclass
class Planted:
    """All planted faults of one run of the generator."""

    rows: list[Plant] = field(default_factory=list)
    told: dict[str, dict[str, Any]] = field(default_factory=_faults)

    def add(self, plant_id: str, where: str, *, person: str = "", needle: str = "", night: int = 1) -> None:
        """Note that a fault of faults.toml was planted.

        `where` is `source/source_table/file`, the file relative to the source's folder; `needle` is given
        where faults.toml cannot know it.
        """
        source, source_table, file = where.split("/", 2)
        fault = self.told.pop(plant_id)
        self.rows.append(
            Plant(
                plant_id=plant_id,
                night=night,
                source=source,
                source_table=source_table,
                file=file,
                kind=fault["kind"],
                fate=fault["fate"],
                code=fault.get("code", ""),
                silver_table=fault.get("silver_table", ""),
                person_source_value=person,
                needle=fault.get("needle", needle),
                expected_rows=fault.get("expected_rows", 0),
                why=fault["why"],
            )
        )

    def write(self, path: Path) -> None:
        """Write the list as CSV, ordered by night and plant; a fault told but not planted is refused."""
        if self.told:
            raise ValueError(f"faults.toml tells of faults that nobody planted: {', '.join(self.told)}")
        header = csv_line([column.name for column in fields(Plant)])
        lines = [
            csv_line(astuple(row)) for row in sorted(self.rows, key=lambda row: (row.night, row.plant_id))
        ]
        write_bytes(path, "".join(line + "\n" for line in [header, *lines]).encode())
