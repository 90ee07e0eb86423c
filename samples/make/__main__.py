"""`python -m samples.make`: write samples/ anew."""

import shutil
from collections.abc import Mapping
from pathlib import Path

from . import (
    dirt_north,
    dirt_pacs,
    dirt_south,
    identity,
    near_misses,
    night2,
    north,
    notes,
    pacs,
    people,
    south,
    south_people,
    synthea,
    tables,
)
from .files import csv_line, write_bytes
from .people import World
from .places import CACHE, SAMPLES
from .planted import Planted

CUT = {dirt_north.CUT_FILE, "procedures.csv"}  # files of the first night whose last line has no end
NOTES_FIRST_NIGHT = 40
STAGE = CACHE / "samples"  # all or nothing: samples/ changes only when everything is made


def main() -> None:
    """Write both nights, the list of planted faults and the truth of who is whom."""
    world = people.read(synthea.export())
    planted = Planted()
    shutil.rmtree(STAGE, ignore_errors=True)
    first_studies = _first_north(world, planted)
    _second_north(world, first_studies, planted)
    rows, variants = south.tables(world)
    _south(world, rows, planted)
    _tables(planted)
    planted.write(STAGE / "planted.csv")
    _write_truth(world, rows, variants)
    _publish()


def _first_north(world: World, planted: Planted) -> list[pacs.Made]:
    """north, pacs and notes of the first night."""
    folder = STAGE / "night1"
    made = north.resources(world, world.north_first)
    studies = pacs.studies(made, 1)
    lines = north.files(made)
    night2.prepare_north(lines)
    dirt_north.plant(lines, planted)
    _write_lines(folder / "north", lines)
    for study in studies:
        _write(folder / "pacs", study.objects)
    _write(folder / "pacs", dirt_pacs.plant(studies, planted))
    texts = notes.texts(made, NOTES_FIRST_NIGHT)
    notes.plant(texts, planted)
    _write(folder / "notes", texts)
    return studies


def _second_north(world: World, first: list[pacs.Made], planted: Planted) -> None:
    folder = STAGE / "night2"
    made = north.resources(world, world.north_second)
    studies = pacs.studies(made, 2)
    _write_lines(folder / "north", night2.north(made, planted))
    for study in studies:
        _write(folder / "pacs", study.objects)
    _write(folder / "pacs", night2.pacs(first, planted))
    _write(folder / "notes", notes.texts(made, 2))


def _south(world: World, rows: dict[str, list[south_people.Row]], planted: Planted) -> None:
    texts = south.files(rows)
    texts["patients.csv"] += south.patient_lines([row for _, row, _ in near_misses.rows(world)])
    lines = {
        name: [line.encode("latin-1" if name == "patients.csv" else "utf-8") for line in text]
        for name, text in texts.items()
    }
    night2.prepare_south(lines)
    dirt_south.plant(lines, planted)
    _write_lines(STAGE / "night1" / "south", lines)
    _write_lines(STAGE / "night2" / "south", night2.south(planted))


def _tables(planted: Planted) -> None:
    biopsies, baseline = tables.breast_cancer(), tables.diabetes()
    tables.plant(biopsies, baseline, planted)
    _write_lines(STAGE / "night1" / "breast_cancer", biopsies)
    _write_lines(STAGE / "night1" / "diabetes", baseline)


def _write_lines(folder: Path, files: dirt_north.Lines) -> None:
    """Write line files; the content of a name ending in .raw goes uncompressed under the name before it."""
    for name, lines in files.items():
        content = b"\n".join(lines) + (b"" if name in CUT or not lines else b"\n")
        if name.endswith(".raw"):
            (folder / name.removesuffix(".raw")).write_bytes(content)
        else:
            write_bytes(folder / name, content)


def _write(folder: Path, files: Mapping[str, bytes]) -> None:
    for name, content in files.items():
        write_bytes(folder / name, content)


def _write_truth(world: World, rows: dict[str, list[south_people.Row]], variants: dict[str, str]) -> None:
    linked = identity.linked(
        [identity.of_fhir(world.patients[key]) for key in world.north],
        [identity.of_south(row) for row in rows["patients"]],
    )
    header = ["north_person_source_value", "south_person_source_value", "night", "difference", "rules"]
    lines = [csv_line(header)]
    for key in sorted(world.in_both):
        pair = key, south_people.key_of(world, key)
        night = 2 if key in world.north_second else 1
        lines.append(csv_line([*pair, night, variants[key], " ".join(linked[pair])]))
    write_bytes(STAGE / "truth.csv", "".join(line + "\n" for line in lines).encode())
    misses = near_misses.lines(world)
    write_bytes(STAGE / "near_misses.csv", "".join(line + "\n" for line in misses).encode())


def _publish() -> None:
    for made in sorted(STAGE.iterdir()):
        target = SAMPLES / made.name
        if target.is_dir():
            shutil.rmtree(target)
        shutil.move(made, target)


if __name__ == "__main__":
    main()
