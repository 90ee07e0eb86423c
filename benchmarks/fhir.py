"""FHIR NDJSON → typed tables, beside Pathling and cumulus-etl.

    python -m benchmarks.fhir [--small 1] [--large 4] [--runs 3]

medlake (benchmarks/peers/medlake_lake.py): digests of all files, every line parsed strictly (a key that stands
twice, a number that cannot be held, a second object are refused) and kept whole in bronze.fhir_resource, what is
broken in quarantine.record, then the newest version of each resource as one typed Delta table per type, with the
elements that conf/formats/fhir/*.ddl names. Pathling: its NDJSON source to its Delta sink, one typed table per type
with every element of the type and no raw text. cumulus-etl: its default run, de-identified Delta tables merged by id.
Data: samples/night1/north in copies with ids of their own, ten resource types.
"""

from __future__ import annotations

from benchmarks import data
from benchmarks.command import main
from benchmarks.environments import CONF_OF_CUMULUS, JAVA_OF_PATHLING, cumulus, pathling
from benchmarks.harness import Contestant

CONTESTANTS = (
    Contestant("medlake", "medlake_lake.py", args=("fhir",)),
    Contestant("Pathling 9.4.0", "pathling_delta.py", pathling, env=JAVA_OF_PATHLING),
    Contestant("cumulus-etl 4.3.6", "cumulus_delta.py", cumulus, env=CONF_OF_CUMULUS),
)

if __name__ == "__main__":
    main("fhir", CONTESTANTS, data.fhir, small=1, large=4, unit="resources")
