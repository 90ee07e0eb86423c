"""A small lake of the open zone, and a night's context on it."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest
from pyspark.sql import SparkSession
from tests.tables import filled

from medlake.doors.lake import Lake
from medlake.doors.ledger import Night
from medlake.doors.settings import Conf, load
from medlake.steps.context import Context, Progress

NIGHTS = itertools.count(7)
SILVER = {
    "person": """
        person_id | gender_concept_id | year_of_birth | race_source_value | gender_source_value | source
        1         | 8507              | 1950          | white             | M                   | north
        2         | 8532              | null          | null              | F                   | north
        3         | 0                 | 1990          | null              | null                | south
    """,
    "visit_occurrence": """
        visit_occurrence_id | person_id | visit_concept_id | visit_start_date | visit_start_datetime | visit_end_date | visit_end_datetime
        11                  | 1         | 9201             | 2020-01-01       | 2020-01-01 08:00:00  | 2020-01-05     | 2020-01-05 09:00:00
        12                  | 2         | 9202             | 2020-02-01       | 2020-02-01 08:00:00  | null           | null
    """,
    "condition_occurrence": """
        condition_occurrence_id | person_id | condition_start_date | condition_start_datetime | condition_end_date | condition_end_datetime | condition_source_value | condition_source_vocabulary | condition_source_name | visit_occurrence_id
        21                      | 1         | 2020-01-02           | 2020-01-02 00:00:00      | 2020-01-09         | 2020-01-09 00:00:00    | 44054006               | SNOMED                      | Diabetes type 2       | 11
        22                      | 2         | 2020-02-01           | 2020-02-01 00:00:00      | null               | null                   | E11                    | ICD10CM                     | Diabetes              | 12
        23                      | 2         | 2020-02-02           | 2020-02-02 00:00:00      | null               | null                   | =LOCAL                 | south                       | House code            | null
        24                      | 2         | 2020-02-03           | 2020-02-03 00:00:00      | null               | null                   | L1                     | LOINC                       | A lab as a condition  | null
    """,
    "drug_exposure": """
        drug_exposure_id | person_id | drug_exposure_start_date | drug_exposure_start_datetime | drug_exposure_end_date | drug_exposure_end_datetime | drug_source_value | drug_source_vocabulary | drug_source_name | quantity | visit_occurrence_id
        31               | 1         | 2020-01-03               | 2020-01-03 00:00:00          | null                   | null                       | 860975            | RxNorm                 | Metformin        | 2.0      | 11
    """,
    "procedure_occurrence": """
        procedure_occurrence_id | person_id | procedure_date | procedure_datetime  | procedure_source_value | procedure_source_vocabulary | procedure_source_name | visit_occurrence_id
        41                      | 1         | 2020-01-04     | 2020-01-04 10:00:00 | 80146002               | SNOMED                      | Appendectomy          | 11
    """,
    "measurement": """
        measurement_id | person_id | measurement_date | measurement_datetime | measurement_source_value | measurement_source_vocabulary | measurement_source_name | value_as_number | operator | value_source_value | unit_source_value | value_std | unit_std | visit_occurrence_id
        51             | 1         | 2020-01-02       | 2020-01-02 07:30:00  | 718-7                    | LOINC                         | Hemoglobin              | 14.0            | null     | 14                 | g/dL              | 140.0     | g/L      | 11
        52             | 1         | 2020-01-02       | 2020-01-02 07:30:00  | 718-7                    | LOINC                         | Hemoglobin              | 5.0             | <        | <5                 | furlong           | null      | null     | 11
        53             | 2         | 2019-12-24       | 2019-12-24 00:00:00  | 5778-6                   | LOINC                         | Color of urine          | null            | null     | yellow             | null              | null      | null     | null
    """,
    "observation": """
        observation_id | person_id | observation_date | observation_datetime | observation_source_value | observation_source_vocabulary | observation_source_name | value_as_number | value_as_string | unit_source_value | visit_occurrence_id
        61             | 2         | 2020-02-01       | 2020-02-01 08:00:00  | 72166-2                  | LOINC                         | Tobacco smoking status  | null            | a text of more than sixty characters, which OMOP does not hold whole | null              | 12
    """,
    "note": """
        note_id | person_id | note_date  | note_datetime       | note_class_source_value | note_title | note_text                | visit_occurrence_id
        71      | 2         | 2020-03-01 | 2020-03-01 12:00:00 | 11506-3                 | Progress   | [NAME] says "well".\\nBye | null
    """,
    "death": """
        person_id | death_date | death_datetime      | cause_source_value
        2         | 2020-04-01 | 2020-04-01 03:00:00 | null
    """,
    "imaging_study": """
        study_uid | person_id | study_at            | modalities | description | n_series | n_instances | size_bytes | visit_occurrence_id | accession
        2.25.1    | 1         | 2020-01-04 11:00:00 | [CT]       | Head        | 2        | 3           | 900        | 11                  | a1
    """,
    "image_occurrence": """
        image_occurrence_id | person_id | study_uid | series_uid | series_at           | modality | body_part | description | n_instances | size_bytes
        81                  | 1         | 2.25.1    | 2.25.11    | 2020-01-04 11:05:00 | CT       | HEAD      | Axial       | 2           | 600
        82                  | 1         | 2.25.1    | 2.25.12    | null                | null     | null      | null        | 1           | 300
    """,
    "imaging_instance": """
        sop_instance_uid | person_id | study_uid | series_uid | instance_number | sop_class_uid             | has_pixels | size_bytes
        2.25.112         | 1         | 2.25.1    | 2.25.11    | 2               | 1.2.840.10008.5.1.4.1.1.2 | true       | 300
        2.25.111         | 1         | 2.25.1    | 2.25.11    | 1               | 1.2.840.10008.5.1.4.1.1.2 | true       | 300
        2.25.121         | 1         | 2.25.1    | 2.25.12    | 1               | null                      | true       | 300
    """,
}  # fmt: skip


@pytest.fixture(scope="session")
def open_lake(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lake with three people in silver, and nothing else."""
    root = tmp_path_factory.mktemp("lake")
    lake = Lake(spark, root)
    for table, text in SILVER.items():
        lake.merge(f"silver.{table}", filled(spark, f"silver.{table}", text))
    return root


@pytest.fixture
def context(spark: SparkSession, open_lake: Path) -> Callable[..., Context]:
    """Contexts of the step `export` on that lake, each of a night of its own: other tests' exports are in it too."""

    def make(standard: str, to: Path, vocabulary: Path | None = None) -> Context:
        conf = Conf()
        settings = load(conf, "local", lake=open_lake)
        night = Night(next(NIGHTS), date(2024, 5, 6))
        ctx = Context(spark, Lake(spark, open_lake), settings, conf, night, b"", Progress())
        ctx.only, ctx.to, ctx.vocabulary = standard, to, vocabulary
        return ctx

    return make
