"""Running Synthea (Walonoski et al. 2018, doi:10.1093/jamia/ocx079) with fixed seeds and dates."""

import shutil
import subprocess
from pathlib import Path

from .places import CACHE, END_ON, SEED

PATIENTS = 250
RESOURCES = [
    "Patient",
    "Encounter",
    "Condition",
    "Observation",
    "MedicationRequest",
    "Medication",
    "Procedure",
    "Immunization",
    "DocumentReference",
    "DiagnosticReport",
    "ImagingStudy",
    "Organization",
    "Practitioner",
    "Location",
]


def jars() -> Path:
    """The folder with Synthea and what it needs, resolved by Maven on the first call."""
    folder = CACHE / "synthea" / "jars"
    if not list(folder.glob("synthea-*.jar")):
        if shutil.which("mvn") is None:
            raise SystemExit(
                "`make samples` needs Maven to fetch Synthea: install it (apt-get install maven)."
            )
        pom = Path(__file__).with_name("pom.xml")
        subprocess.run(
            [
                "mvn",
                "-q",
                "-B",
                "-f",
                str(pom),
                "dependency:copy-dependencies",
                f"-DoutputDirectory={folder}",
            ],
            check=True,
        )
    return folder


def export() -> Path:
    """Synthea's output (`fhir/` as bulk NDJSON, `csv/`), kept in the cache under the options' name.

    One thread: with several, patients come in another order and share clinicians differently.
    """
    options = {
        "generate.append_numbers_to_person_names": "false",
        "generate.thread_pool_size": "1",
        "exporter.years_of_history": "10",
        "exporter.fhir.bulk_data": "true",
        "exporter.fhir.included_resources": ",".join(RESOURCES),
        "exporter.csv.export": "true",
    }
    output = CACHE / "synthea" / f"p{PATIENTS}-s{SEED}-e{END_ON}"
    if not (output / "done").exists():
        shutil.rmtree(output, ignore_errors=True)
        command = ["java", "-Xmx3g", "-cp", f"{jars()}/*", "App", "-p", str(PATIENTS)]
        command += ["-s", str(SEED), "-cs", str(SEED), "-r", END_ON, "-e", END_ON]
        command += [f"--{name}={value}" for name, value in options.items()]
        output.mkdir(parents=True)
        with (output / "log").open("wb") as log:
            subprocess.run(
                [*command, f"--exporter.baseDirectory={output}"],
                check=True,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        (output / "done").touch()
    return output
