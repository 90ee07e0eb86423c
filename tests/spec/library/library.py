"""A landing folder with real public data, a conf that names the ready-made sources, and what the files say by themselves."""

from __future__ import annotations

import csv
import gzip
import json
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path

import pandas as pd

STAYS, LABS, MEASUREMENTS = 1_200, 2_500, 2_500  # rows taken of the three large files
NEEDED = ("mimic3-demo", "diabetes130", "uci-heart", "uci-ckd", "omop-synthea27nj", "synthea-multi")
LIBRARY = {
    "mimic": "mimic3", "stays": "diabetes130", "heart": "uci_heart", "kidney": "uci_ckd", "cdm": "omop",
    "clinic_csv": "synthea",
}  # fmt: skip


def conf_with(folder: Path) -> Path:
    """A user's conf: every ready-made source under a name of the user's own, and Synthea's FHIR beside its CSV."""
    for source, library in LIBRARY.items():
        (folder / "sources" / source).mkdir(parents=True)
        (folder / "sources" / source / "source.toml").write_text(f'library = "{library}"\n')
    (folder / "sources" / "clinic_fhir").mkdir(parents=True)
    (folder / "sources" / "clinic_fhir" / "source.toml").write_text('format = "fhir"\n')
    return folder


def landing_of(samples: Path, folder: Path) -> Path:
    """The public files, the large ones cut, two of them packed."""
    mimic = _folder(folder, "mimic")
    for name in ("patients", "admissions", "diagnoses_icd", "procedures_icd", "d_labitems", "d_icd_diagnoses", "d_icd_procedures"):
        shutil.copy(samples / "mimic3-demo" / f"{name}.csv", mimic)
    text = (samples / "mimic3-demo" / "prescriptions.csv").read_bytes()
    (mimic / "PRESCRIPTIONS.csv.gz").write_bytes(gzip.compress(text.replace(*_upper(text), 1)))
    _cut(samples / "mimic3-demo" / "labevents.csv", mimic, LABS)
    stays = _folder(folder, "stays")
    _cut(samples / "diabetes130" / "diabetic_data_20pct_patients.csv", stays, STAYS, "diabetic_data.csv")
    shutil.copy(samples / "diabetes130" / "IDs_mapping.csv", stays)
    for path in (samples / "uci-heart").glob("processed.*.data"):
        shutil.copy(path, _folder(folder, "heart"))
    shutil.copy(samples / "uci-ckd" / "kidney_disease.csv", _folder(folder, "kidney"))
    cdm = _folder(folder, "cdm")
    for path in (samples / "omop-synthea27nj").glob("*.csv"):
        if path.stem not in ("OBSERVATION_PERIOD", "MEASUREMENT"):
            shutil.copy(path, cdm)
    _cut(samples / "omop-synthea27nj" / "MEASUREMENT.csv", cdm, MEASUREMENTS)
    _synthea(samples / "synthea-multi", _folder(folder, "clinic_csv"), _folder(folder, "clinic_fhir"))
    return folder


def _upper(text: bytes) -> tuple[bytes, bytes]:
    """The full MIMIC-III has its headers in capitals."""
    header = text.split(b"\n", 1)[0]
    return header, header.upper()


def _synthea(samples: Path, tables: Path, fhir: Path) -> None:
    """The patients that stand in both: their CSV rows, and their bundles as one NDJSON."""
    resources = []
    for path in sorted((samples / "fhir").glob("*-*.json")):
        resources += [entry["resource"] for entry in json.loads(path.read_bytes())["entry"]]
    kinds = ("Patient", "Encounter", "Condition", "Observation", "Procedure", "MedicationRequest", "Immunization", "Medication")
    with (fhir / "all.ndjson").open("w", encoding="utf-8") as out:
        for resource in resources:
            if resource["resourceType"] in kinds:
                out.write(json.dumps(resource) + "\n")
    both = {r["id"] for r in resources if r["resourceType"] == "Patient"}
    for name in ("patients", "encounters", "conditions", "medications", "immunizations", "procedures", "observations"):
        rows = read(samples / "csv" / f"{name}.csv")
        rows[rows["Id" if name == "patients" else "PATIENT"].isin(both)].to_csv(tables / f"{name}.csv", index=False)


def _folder(folder: Path, name: str) -> Path:
    (folder / name).mkdir(parents=True, exist_ok=True)
    return folder / name


def _cut(path: Path, to: Path, rows: int, name: str | None = None) -> None:
    with path.open("rb") as given, (to / (name or path.name)).open("wb") as out:
        out.writelines(line for _, line in zip(range(rows + 1), given, strict=False))


def read(path: Path, **how: object) -> pd.DataFrame:
    """A CSV with every value as text and nothing taken for a null."""
    return pd.read_csv(path, dtype=str, keep_default_na=False, **how)


def records(folder: Path) -> int:
    """The records of a source's CSV files, counted by Python's own reader: no header, no blank line."""
    return sum(_records(path) for path in folder.iterdir())


def _records(path: Path) -> int:
    opened: Callable[..., Iterable[str]] = gzip.open if path.suffix == ".gz" else open
    if path.suffix == ".ndjson":
        return sum(1 for _ in path.open())
    rows = [row for row in csv.reader(opened(path, "rt", newline="")) if any(cell.strip() for cell in row)]
    headers = {"IDs_mapping.csv": 3}.get(path.name, 0 if path.suffix == ".data" else 1)
    return len(rows) - headers


def expected(landing: Path) -> dict[tuple[str, str], int]:
    """(source, silver table) → rows, counted in the files with pandas."""
    said: dict[tuple[str, str], int] = {}
    mimic = landing / "mimic"
    for table, file in (
        ("person", "patients.csv"), ("death", "patients.csv"), ("visit_occurrence", "admissions.csv"),
        ("condition_occurrence", "diagnoses_icd.csv"), ("procedure_occurrence", "procedures_icd.csv"),
        ("drug_exposure", "PRESCRIPTIONS.csv.gz"), ("measurement", "labevents.csv"),
    ):  # fmt: skip
        said["mimic", table] = len(read(mimic / file))  # row_id, subject_id and hadm_id are unique: every row is kept
    stays = read(landing / "stays" / "diabetic_data.csv")
    drugs = stays.loc[:, "metformin":"metformin-pioglitazone"]
    said["stays", "person"] = stays.patient_nbr.nunique()
    said["stays", "visit_occurrence"] = len(stays)
    said["stays", "condition_occurrence"] = int((stays[["diag_1", "diag_2", "diag_3"]] != "?").sum().sum())
    said["stays", "drug_exposure"] = int(drugs.isin(["Steady", "Up", "Down"]).sum().sum())
    said["stays", "measurement"] = int((stays[["max_glu_serum", "A1Cresult"]] != "None").sum().sum())
    # nine columns a stay; of them only the weight is ever unknown
    said["stays", "observation"] = 8 * len(stays) + int((stays.weight != "?").sum())
    died = stays[stays.discharge_disposition_id.isin(["11", "19", "20", "21"])]
    said["stays", "death"] = died.patient_nbr.nunique()
    heart = pd.concat([read(p, header=None) for p in (landing / "heart").iterdir()])
    known = ~heart.isin(["", "?", "-9", "-9.0"])
    said["heart", "person"] = len(heart)
    said["heart", "measurement"] = int(known[[3, 4, 7, 9, 11]].sum().sum())
    said["heart", "observation"] = int(known[[2, 5, 6, 8, 10, 12, 13]].sum().sum())
    said["heart", "condition_occurrence"] = int((heart[13].astype(float) > 0).sum())
    kidney = read(landing / "kidney" / "kidney_disease.csv")
    kidney = kidney.rename(columns=str.strip).apply(lambda column: column.str.strip())
    given = ~kidney.isin(["", "?"])
    said["kidney", "person"] = len(kidney)
    numbers = ["bp", "bgr", "bu", "sc", "sod", "pot", "hemo", "pcv", "wbcc", "rbcc", "sg"]
    words = ["al", "su", "rbc", "pc", "pcc", "ba", "appet", "classification"]
    said["kidney", "measurement"] = int(given[numbers].sum().sum())
    said["kidney", "observation"] = int(given[words].sum().sum())
    ill = int((kidney[["htn", "dm", "cad", "pe", "ane"]] == "yes").sum().sum()) + int((kidney.classification == "ckd").sum())
    said["kidney", "condition_occurrence"] = ill
    for table in ("person", "death", "visit_occurrence", "condition_occurrence", "drug_exposure", "procedure_occurrence", "measurement"):
        said["cdm", table] = len(read(landing / "cdm" / f"{table.upper()}.csv"))  # OMOP ids are unique
    return said | _expected_of_synthea(landing / "clinic_csv")


def _expected_of_synthea(folder: Path) -> dict[tuple[str, str], int]:
    """Synthea's events have no key: rows that say the very same are one."""
    found = {("clinic_csv", "visit_occurrence"): len(read(folder / "encounters.csv"))}
    result = read(folder / "observations.csv")
    measured = (result.TYPE == "numeric") | result.CATEGORY.isin(["laboratory", "vital-signs"])
    told = ["DATE", "PATIENT", "ENCOUNTER", "CODE", "DESCRIPTION", "VALUE", "UNITS"]
    found["clinic_csv", "measurement"] = len(result[measured].drop_duplicates(told))
    found["clinic_csv", "observation"] = len(result[~measured].drop_duplicates(told))
    drugs = read(folder / "medications.csv").drop_duplicates(["START", "STOP", "PATIENT", "ENCOUNTER", "CODE", "DESCRIPTION", "DISPENSES"])
    found["clinic_csv", "drug_exposure"] = len(drugs) + len(read(folder / "immunizations.csv").drop_duplicates(["DATE", "PATIENT", "ENCOUNTER", "CODE"]))
    for table, file in (("condition_occurrence", "conditions"), ("procedure_occurrence", "procedures")):
        found["clinic_csv", table] = len(read(folder / f"{file}.csv").drop_duplicates(
            ["START", *(["STOP"] if file == "conditions" else []), "PATIENT", "ENCOUNTER", "CODE", "DESCRIPTION"]
        ))  # fmt: skip
    return found
