"""Code systems by OMOP's vocabulary names: FHIR says a URI, a CSV what it likes."""

from __future__ import annotations

from itertools import chain

from pyspark.sql import Column
from pyspark.sql import functions as F

# FHIR R4 terminologies → OMOP VOCABULARY.vocabulary_id
VOCABULARY_OF_URI = {
    "http://snomed.info/sct": "SNOMED",
    "http://loinc.org": "LOINC",
    "http://www.nlm.nih.gov/research/umls/rxnorm": "RxNorm",
    "http://hl7.org/fhir/sid/icd-10-cm": "ICD10CM",
    "http://hl7.org/fhir/sid/icd-10": "ICD10",
    "http://hl7.org/fhir/sid/icd-9-cm": "ICD9CM",
    "http://hl7.org/fhir/sid/cvx": "CVX",
    "http://hl7.org/fhir/sid/ndc": "NDC",
    "http://www.whocc.no/atc": "ATC",
    "http://www.ama-assn.org/go/cpt": "CPT4",
    "http://unitsofmeasure.org": "UCUM",
}


def vocabulary(said: Column, source: Column) -> Column:
    """OMOP's name where the URI is known, what was said otherwise, and the source's name where nothing was."""
    known = F.create_map(*[F.lit(text) for text in chain(*VOCABULARY_OF_URI.items())])
    return F.coalesce(F.try_element_at(known, said), said, source)
