"""The two tables of real patients that come with scikit-learn, as CSV sources."""

from sklearn.datasets import load_breast_cancer, load_diabetes

from .dirt_north import Lines
from .files import csv_line
from .planted import Planted

BIOPSIES, BASELINE = "biopsies.csv", "baseline.tsv"


def breast_cancer() -> Lines:
    """569 biopsies (Wolberg, Street, Mangasarian 1995): 30 features of the cell nuclei and the diagnosis."""
    bunch = load_breast_cancer()
    names = [str(name).replace(" ", "_") for name in bunch.feature_names]
    lines = [csv_line(["id", "measured_on", *names, "diagnosed_on", "diagnosis"])]
    for position, (features, target) in enumerate(zip(bunch.data, bunch.target, strict=True), 1):
        values = [repr(float(value)) for value in features]
        lines.append(
            csv_line(
                [f"B{position:04d}", "1995-11-01", *values, "1995-11-08", str(bunch.target_names[target])]
            )
        )
    return {BIOPSIES: [line.encode() for line in lines]}


def diabetes() -> Lines:
    """442 patients (Efron et al. 2004): ten variables at baseline and the progression one year later."""
    bunch = load_diabetes(scaled=False)
    names = ["age", "sex", "bmi", "bp", "tc", "ldl", "hdl", "tch", "ltg", "glu"]
    lines = [csv_line(["patient", "baseline_on", *names, "followed_up_on", "progression"], "\t")]
    for position, (features, target) in enumerate(zip(bunch.data, bunch.target, strict=True), 1):
        values = [f"{float(value):.10g}" for value in features]
        lines.append(csv_line([f"D{position:04d}", "2004-04-01", *values, "2005-04-01", f"{target:g}"], "\t"))
    return {BASELINE: [line.encode() for line in lines]}


def plant(biopsies: Lines, baseline: Lines, planted: Planted) -> None:
    """Faults between the real rows: none of them changes a real row."""
    rows = biopsies[BIOPSIES]
    rows.insert(301, rows[0])
    rows.append(rows[17])
    rows.insert(101, b"B9001,1995-11-01,17.99,10.38")
    for name, person in (("B01", ""), ("B02", "B0017"), ("B03", "")):
        planted.add(name, f"breast_cancer/biopsies/{BIOPSIES}", person=person)
    rows = baseline[BASELINE]
    rows.insert(201, rows[200].replace(b"D0200", b"D9001") + b"\t42")
    rows.append(rows[1].replace(b"D0001", b""))
    for name in ("G01", "G02"):
        planted.add(name, f"diabetes/baseline/{BASELINE}")
