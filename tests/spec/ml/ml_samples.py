"""Baskets of real sample files, as lists."""

from __future__ import annotations

import csv
import re
from pathlib import Path

DIAGNOSES = ("diag_1", "diag_2", "diag_3")
_ICD9 = re.compile(r"^([0-9]{3}|V[0-9]{2}|E[0-9]{3})|^([0-9]{1,2})(?:\.|$)")


def icd9_category(code: str) -> str:
    """The category of an ICD-9 code with or without its point; leading zeros are put back (8 → 008)."""
    caught = _ICD9.match(code)
    return (caught[1] or caught[2].zfill(3)) if caught else ""


def diabetes130(folder: Path, *, by: str) -> list[list[str]]:
    """ICD-9 categories of each value of `by`: encounter_id or patient_nbr."""
    sets: dict[str, set[str]] = {}
    with (folder / "diabetes130" / "diabetic_data_20pct_patients.csv").open(encoding="utf-8") as lines:
        for row in csv.DictReader(lines):
            codes = {icd9_category(row[name]) for name in DIAGNOSES} - {""}
            sets.setdefault(row[by], set()).update(codes)
    return [sorted(items) for items in sets.values()]


def mimic3(folder: Path) -> list[list[str]]:
    """ICD-9 categories of each admission with a diagnosis."""
    sets: dict[str, set[str]] = {}
    with (folder / "mimic3-demo" / "diagnoses_icd.csv").open(encoding="utf-8") as lines:
        for row in csv.DictReader(lines):
            sets.setdefault(row["hadm_id"], set()).add(icd9_category(row["icd9_code"]))
    return [sorted(items - {""}) for items in sets.values()]


def cleveland(folder: Path) -> list[tuple[list[str], str]]:
    """(chest pain type, exercise angina, disease as items; sex) of each patient."""
    names = ("age", "sex", "cp", "trestbps", "chol", "fbs", "restecg", "thalach", "exang", "oldpeak", "slope", "ca", "thal")
    made = []
    for line in (folder / "uci-heart" / "processed.cleveland.data").read_text().splitlines():
        row = dict(zip((*names, "num"), line.split(","), strict=True))
        items = [f"cp={float(row['cp']):g}", f"exang={float(row['exang']):g}"]
        items.append("disease" if float(row["num"]) > 0 else "no disease")
        made.append((items, "male" if float(row["sex"]) == 1 else "female"))
    return made
