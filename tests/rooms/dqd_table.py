"""conf/quality/*.toml from OHDSI's Data Quality Dashboard (Apache-2.0): `python -m tests.rooms.dqd_table FOLDER` writes them.

FOLDER holds DQD's four OMOP_CDMv5.4_*.csv. Facts only: no sentence of theirs is carried over.
"""

from __future__ import annotations

import csv
import re
import sys
from pathlib import Path

CONF = Path(__file__).resolve().parents[2] / "conf" / "quality"
FLAGS = (
    "isRequired", "isPrimaryKey", "isForeignKey", "isStandardValidConcept", "standardConceptRecordCompleteness",
    "sourceConceptRecordCompleteness", "sourceValueCompleteness", "plausibleTemporalAfter", "plausibleDuringLife",
    "withinVisitDates", "plausibleAfterBirth", "plausibleBeforeDeath", "plausibleStartBeforeEnd",
)  # fmt: skip
VALUES = ("fkDomain", "fkClass", "plausibleValueLow", "plausibleValueHigh")
# The threshold (percent) that most fields have; another one is stated beside the check.
USUAL = {
    "isRequired": "0", "isPrimaryKey": "0", "isForeignKey": "0", "isStandardValidConcept": "0", "fkDomain": "0", "fkClass": "0",
    "standardConceptRecordCompleteness": "5", "sourceConceptRecordCompleteness": "10", "sourceValueCompleteness": "10",
    "plausibleTemporalAfter": "1", "plausibleDuringLife": "1", "withinVisitDates": "5", "plausibleAfterBirth": "1",
    "plausibleBeforeDeath": "1", "plausibleStartBeforeEnd": "1", "plausibleValueLow": "1", "plausibleValueHigh": "1",
}  # fmt: skip
HEAD = (
    "# From OHDSI's Data Quality Dashboard for OMOP CDM 5.4 (Apache-2.0), facts alone; made by tests/rooms/dqd_table.py.\n"
)
WORDS = """# A field: its type, then its checks: name, name=argument, name=argument%threshold (percent that may be wrong, where not
# the usual of checks.toml). All fields have cdmField and measureValueCompleteness, those of type integer cdmDatatype.
"""


def argument(name: str, row: dict[str, str]) -> str:
    """What a check needs beside its field, as one word."""
    if name == "isForeignKey":
        return f"{row['fkTableName']}.{row['fkFieldName']}".lower()
    if name == "sourceValueCompleteness":
        return row["standardConceptFieldName"].lower()
    if name == "plausibleTemporalAfter":
        return f"{row['plausibleTemporalAfterTableName']}.{row['plausibleTemporalAfterFieldName']}".lower()
    if name == "plausibleStartBeforeEnd":
        return row["plausibleStartBeforeEndFieldName"].lower()
    if name in VALUES:
        said = row[name].strip("'").replace(" ", "_")
        return {"DATEADD(dd,1,GETDATE())": "tomorrow", "YEAR(GETDATE())+1": "next_year"}.get(
            said, re.sub(r"^(\d{4})(\d\d)(\d\d)$", r"\1-\2-\3", said)
        )
    return ""


def field(row: dict[str, str]) -> str:
    """One field as a line of fields.toml."""
    words = [row["cdmDatatype"].lower()]
    for name in (*FLAGS, *VALUES):
        if row[name] and row[name] != "No":
            said = argument(name, row)
            other = row[f"{name}Threshold"]
            tail = f"%{other}" if other != USUAL[name] else ""
            words.append(name + (f"={said}" if said else "") + tail)
    return f'{row["cdmFieldName"].lower()} = "{" ".join(words)}"'


def fields_toml(folder: Path) -> str:
    """conf/quality/fields.toml: every table with its persons threshold and its fields."""
    tables = {r["cdmTableName"].lower(): r for r in read(folder, "Table_Level")}
    rows = read(folder, "Field_Level")
    parts = [HEAD + WORDS]
    for name, said in tables.items():
        lines = [f"[{name}]"]
        own = []
        if said["measurePersonCompleteness"] == "Yes":
            own.append(f"measurePersonCompleteness%{said['measurePersonCompletenessThreshold']}")
        own += [n for n in ("measureConditionEraCompleteness", "measureObservationPeriodOverlap") if said[n] == "Yes"]
        if own:
            lines.append(f'"" = "{" ".join(own)}"')
        lines += [field(r) for r in rows if r["cdmTableName"].lower() == name]
        if len(lines) > 1:
            parts.append("\n".join(lines) + "\n")
    return "\n".join(parts)


def concepts_toml(folder: Path) -> str:
    """conf/quality/concepts.toml: concepts of one sex, and the units that a measurement may have."""
    rows = read(folder, "Concept_Level")
    lines = [HEAD + "# Concept ids. [table.field.check]: what is right = the concepts that it is right for."]
    for check in ("plausibleGender", "plausibleGenderUseDescendants", "plausibleUnitConceptIds"):
        found: dict[str, dict[str, list[str]]] = {}
        for r in rows:
            if r[check]:
                place = f"{r['cdmTableName']}.{r['cdmFieldName']}".lower()
                ids = [i.strip() for i in r["conceptId"].split(",")]
                right = ",".join(i.strip() for i in r[check].split(","))
                found.setdefault(place, {}).setdefault(right, []).extend(ids)
        for place, said in found.items():
            lines.append(f"\n[{place}.{check}]")
            lines += [f'"{right}" = [{", ".join(sorted(set(ids), key=int))}]' for right, ids in sorted(said.items())]
    return "\n".join(lines) + "\n"


def read(folder: Path, level: str) -> list[dict[str, str]]:
    with (folder / f"OMOP_CDMv5.4_{level}.csv").open(encoding="utf-8-sig") as lines:
        return list(csv.DictReader(lines))


MADE = {"fields.toml": fields_toml, "concepts.toml": concepts_toml}

if __name__ == "__main__":
    CONF.mkdir(exist_ok=True)
    for name, make in MADE.items():
        (CONF / name).write_text(make(Path(sys.argv[1])), encoding="utf-8")
