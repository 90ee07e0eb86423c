"""OMOP CDM 5.4: OHDSI's columns, types, order and required fields; concepts by Athena's files."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark.sql import SparkSession
from tests.shared import shared
from tests.tables import assert_rows, rows

from medlake.doors.lake import Lake
from medlake.doors.settings import Conf
from medlake.grammar.errors import ConfigError, UsageError
from medlake.standards import concepts, omop
from medlake.steps import export
from medlake.steps.context import Context

SPECIFIED = omop.specification(Conf().toml("standards", "omop.toml"))
ARROW = {
    "integer": (pa.int32(), pa.int64()), "float": (pa.float64(),), "date": (pa.date32(),),
    "datetime": (pa.timestamp("us"),), "string": (pa.string(),),
}  # fmt: skip

ATHENA = {
    "CONCEPT.csv": """
        concept_id concept_name          domain_id   vocabulary_id concept_class_id standard_concept concept_code invalid_reason
        201826     Type_2_diabetes       Condition   SNOMED        Finding          S                44054006     .
        35206882   Diabetes"_E11         Condition   ICD10CM       Code             .                E11          .
        40484648   Metformin             Drug        RxNorm        Clinical_Drug    S                860975       .
        3000963    Hemoglobin            Measurement LOINC         Lab_Test         S                718-7        .
        8713       gram_per_deciliter    Unit        UCUM          Unit             S                g/dL         .
        5          A_lab                 Measurement LOINC         Lab_Test         S                L1           .
        6          Old_appendectomy      Procedure   SNOMED        Procedure        .                80146002     D
        4198190    Appendectomy          Procedure   SNOMED        Procedure        S                new          .
        9          Gone                  Procedure   SNOMED        Procedure        S                gone         D
    """,
    "CONCEPT_RELATIONSHIP.csv": """
        concept_id_1 concept_id_2 relationship_id invalid_reason
        201826       201826       Maps_to         .
        35206882     201826       Maps_to         .
        35206882     9            Is_a            .
        6            4198190      Maps_to         .
        6            9            Maps_to         .
        40484648     9            Maps_to         D
    """,
    "VOCABULARY.csv": """
        vocabulary_id vocabulary_name vocabulary_version
        None          OMOP            v5.0_29-FEB-24
        SNOMED        SNOMED          2024
    """,
}


@pytest.fixture
def athena(tmp_path: Path) -> Path:
    """A tiny folder as Athena gives it: tabs, no quoting ('.' stands for an empty cell here, '_' for a blank)."""
    folder = tmp_path / "athena"
    folder.mkdir()
    for name, text in ATHENA.items():
        lines = [line.split() for line in text.strip().splitlines()]
        told = ["\t".join("" if c == "." else c if i == 0 else c.replace("_", " ") for c in row) for i, row in enumerate(lines)]
        (folder / name).write_text("\n".join(told) + "\n")
    return folder


def table(folder: Path, name: str) -> list[dict[str, object]]:
    found: list[dict[str, object]] = pq.read_table(folder / "parquet" / name).to_pylist()
    return found


def test_our_list_of_fields_is_ohdsis() -> None:
    path = shared("standards", "omop", "cdm", "OMOP_CDMv5.4_Field_Level.csv")
    theirs: dict[str, list[tuple[str, str, bool]]] = {}
    with path.open(encoding="utf-8-sig", newline="") as lines:
        for row in csv.DictReader(lines):
            field = (row["cdmFieldName"].lower(), row["cdmDatatype"].lower(), row["isRequired"] == "Yes")
            theirs.setdefault(row["cdmTableName"].lower(), []).append(field)
    for name, said in SPECIFIED.items():
        assert [(f.name, f.type.lower(), f.required) for f in said.fields] == theirs[name], name


def test_every_table_that_was_asked_for_is_there() -> None:
    wanted = "person observation_period visit_occurrence condition_occurrence drug_exposure procedure_occurrence"
    assert set(SPECIFIED) >= {*wanted.split(), "measurement", "observation", "note", "death", "cdm_source"}


@pytest.mark.parametrize(
    ("field", "said"),
    [
        ({"type": "money"}, "unknown type money"),
        ({"type": "date", "required": True}, "required, but neither"),
    ],
)
def test_a_wrong_specification_is_refused(field: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        omop.specification({"t": {"of": "silver.t", "column": {"c": field}}})


def test_an_export_without_vocabulary(context: Callable[..., Context], spark: SparkSession, tmp_path: Path) -> None:
    to = tmp_path / "out" / "omop"
    ctx = context("omop", to)
    counts = export.run(ctx)

    assert not list(to.parent.glob(".*")), "nothing but the folder is left"
    for name, said in SPECIFIED.items():
        schema = pq.read_table(to / "parquet" / name).schema
        assert schema.names == [f.name for f in said.fields]
        for f in said.fields:
            assert schema.field(f.name).type in ARROW["string" if f.type.startswith("varchar") else f.type], f
        cells = []
        for file in (to / "csv" / name).iterdir():
            with file.open(encoding="utf-8", newline="") as lines:
                head, *more = csv.reader(lines)
            assert head == schema.names
            cells += more
        assert len(cells) == len(table(to, name))
        for f in (f for f in said.fields if f.required):
            assert all(row[head.index(f.name)] != "" for row in cells), f
    assert counts.rows_in == counts.kept == sum(len(table(to, name)) for name in SPECIFIED)

    assert [r["year_of_birth"] for r in sorted(table(to, "person"), key=lambda r: int(str(r["person_id"])))] == [1950, 0, 1990]
    assert [str(r["visit_end_date"]) for r in table(to, "visit_occurrence")] == ["2020-01-05", "2020-02-01"]
    assert {r["condition_concept_id"] for r in table(to, "condition_occurrence")} == {0}
    assert {r["condition_source_concept_id"] for r in table(to, "condition_occurrence")} == {0}
    kept = {(r["source_code"], r["source_vocabulary_id"], r["target_concept_id"]) for r in table(to, "source_to_concept_map")}
    assert kept >= {("44054006", "SNOMED", 0), ("=LOCAL", "south", 0), ("g/dL", "UCUM", 0)}
    assert [r["operator_concept_id"] for r in table(to, "measurement")].count(4171756) == 1
    assert table(to, "note")[0]["note_text"] == '[NAME] says "well".\nBye'
    (observation,) = table(to, "observation")
    assert len(str(observation["value_as_string"])) == 60
    assert table(to, "cdm_source")[0]["vocabulary_version"] == "none"

    noted = Lake(spark, ctx.lake.root).read("ops.export").where(f"night_id = {ctx.night.number}")
    assert_rows(noted.where("table IN ('person', 'observation')"), """
        table       | standard | n_rows | n_left_out | n_cut | vocabulary_version
        person      | omop     | 3      | 0          | 0     | null
        observation | omop     | 1      | 0          | 2     | null
    """)  # fmt: skip
    read = json.loads(noted.first()["tables_read"])
    assert set(read) == {s.of for s in SPECIFIED.values() if "." in s.of and ctx.lake.version(s.of) is not None}
    assert len(read) >= 9
    assert all(name.startswith(("silver.", "gold.")) for name in ctx.lake.activity.read)


def test_periods_reach_from_the_first_to_the_last_event(spark: SparkSession) -> None:
    visit = rows(spark, "silver.visit_occurrence", """
        person_id | visit_start_date | visit_end_date
        1         | 2020-01-01       | 2020-01-05
        2         | 2020-02-01       | null
        3         | 2020-03-02       | 2020-03-01
    """)  # fmt: skip
    death = rows(spark, "silver.death", """
        person_id | death_date
        1         | 2021-01-01
    """)  # fmt: skip
    assert_rows(omop.observation_periods({"visit_occurrence": visit, "death": death}), """
        person_id | observation_period_start_date | observation_period_end_date
        1         | 2020-01-01                    | 2021-01-01
        2         | 2020-02-01                    | 2020-02-01
        3         | 2020-03-02                    | 2020-03-02
    """)  # fmt: skip


def test_codes_become_concepts(context: Callable[..., Context], athena: Path, tmp_path: Path) -> None:
    to = tmp_path / "omop"
    export.run(context("omop", to, athena))
    conditions = {r["condition_source_value"]: r for r in table(to, "condition_occurrence")}
    assert {code: (r["condition_concept_id"], r["condition_source_concept_id"]) for code, r in conditions.items()} == {
        "44054006": (201826, 201826),  # standard itself
        "E11": (201826, 35206882),  # maps to a standard one
        "=LOCAL": (0, 0),  # unknown
        "L1": (0, 5),  # its concept belongs to another domain
    }
    assert table(to, "drug_exposure")[0]["drug_concept_id"] == 40484648
    assert table(to, "procedure_occurrence")[0]["procedure_concept_id"] == 4198190  # not the invalid one
    units = {r["unit_source_value"]: r["unit_concept_id"] for r in table(to, "measurement")}
    assert units == {"g/dL": 8713, "furlong": 0, None: None}
    assert table(to, "cdm_source")[0]["vocabulary_version"] == "v5.0 29-FEB-24"
    text = "".join(f.read_text() for f in (to / "csv" / "condition_occurrence").iterdir())
    assert ",'=LOCAL," in text, "no cell of a CSV is a formula"


def test_a_code_of_two_targets_takes_the_lowest_of_its_domain(spark: SparkSession) -> None:
    codes = rows(spark, None, """
        vocabulary | code | label
        ICD10CM    | X    | b
        ICD10CM    | X    | a
        ICD10CM    | Y    | null
    """)  # fmt: skip
    concept = rows(spark, None, """
        concept_id | concept_code | vocabulary_id | domain_id   | standard_concept | invalid_reason
        1          | X            | ICD10CM       | Condition   | null             | null
        10         | p            | SNOMED        | Observation | S                | null
        30         | q            | SNOMED        | Condition   | S                | null
        20         | r            | SNOMED        | Condition   | S                | null
    """)  # fmt: skip
    relationship = rows(spark, None, """
        concept_id_1 | concept_id_2 | relationship_id | invalid_reason
        1            | 10           | Maps to         | null
        1            | 30           | Maps to         | null
        1            | 20           | Maps to         | null
    """)  # fmt: skip
    mapping = concepts.code_map([codes], concept, relationship)
    chosen = mapping.select(
        "code", "label", "source_concept_id",
        concepts.target_in("Condition", mapping["targets"]).alias("of_condition"),
        concepts.target_in(None, mapping["targets"]).alias("of_any"),
        concepts.target_in("Drug", mapping["targets"]).alias("of_drug"),
    )  # fmt: skip
    assert_rows(chosen, """
        code | label | source_concept_id | of_condition | of_any | of_drug
        X    | a     | 1                 | 20           | 10     | null
        Y    | null  | null              | null         | null   | null
    """)  # fmt: skip
    assert concepts.as_source_map(mapping).count() == 4


def test_a_folder_without_athenas_files_is_refused(context: Callable[..., Context], tmp_path: Path) -> None:
    to = tmp_path / "out"
    with pytest.raises(ConfigError, match=r"no file CONCEPT\.csv"):
        export.run(context("omop", to, tmp_path))
    assert not to.exists()
    assert not list(tmp_path.glob(".*")), "a failed export leaves nothing"


def test_a_folder_that_holds_something_is_refused(context: Callable[..., Context], tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("keep me")
    with pytest.raises(UsageError, match="something already"):
        export.run(context("omop", tmp_path))
    assert [p.name for p in tmp_path.iterdir()] == ["mine.txt"]


def test_a_folder_inside_the_lake_is_refused(context: Callable[..., Context]) -> None:
    ctx = context("omop", Path("x"))
    ctx.to = ctx.lake.root / "open" / "out"
    with pytest.raises(UsageError, match="inside the lake"):
        export.run(ctx)


def test_an_empty_lake_is_refused(context: Callable[..., Context], spark: SparkSession, tmp_path: Path) -> None:
    ctx = context("omop", tmp_path / "out")
    ctx.lake = Lake(spark, tmp_path / "lake")
    with pytest.raises(UsageError, match="no people"):
        export.run(ctx)


def test_only_the_open_zone_is_read(context: Callable[..., Context], tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="not in the open zone"):
        export.read_open(context("omop", tmp_path / "out"), "vault.identity")
