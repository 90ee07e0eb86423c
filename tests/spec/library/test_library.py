"""The ready-made sources on the real public files: what goes in, what becomes of it, with which values and units."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F
from tests.nights import by_name, conf_of
from tests.shared import shared_samples
from tests.spec.library.library import LIBRARY, NEEDED, conf_with, expected, landing_of, records

from medlake.doors.lake import Lake
from medlake.doors.settings import Conf
from medlake.grammar.errors import ConfigError
from medlake.link.agreement import AGREE, UNEXPLAINED, agreement, paired
from medlake.steps.reconcile import reconcile
from medlake.steps.runner import Options
from medlake.steps.sources import all_sources

pytestmark = [pytest.mark.slow, pytest.mark.long]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    samples = shared_samples(*NEEDED)
    folder = tmp_path_factory.mktemp("library")
    landing_of(samples, folder / "landing")
    conf_with(conf_of(folder / "conf"))
    return folder


@pytest.fixture(scope="module")
def lake(spark: SparkSession, home: Path) -> Lake:
    """The real files taken in, linked and built."""
    by_name(home, "ingest", "link", "build")
    return Lake(spark, home / "lake")


def test_no_sample_night_looks_for_a_ready_made_source() -> None:
    assert not set(all_sources(Conf())) & {*LIBRARY, *LIBRARY.values()}


def test_a_library_that_does_not_exist_is_told_with_those_that_do(tmp_path: Path) -> None:
    (tmp_path / "sources" / "mine").mkdir(parents=True)
    (tmp_path / "sources" / "mine" / "source.toml").write_text('library = "mimic9"\n')
    with pytest.raises(ConfigError, match=r"mimic9.*mimic3.*synthea"):
        all_sources(Conf(tmp_path))


def test_a_user_lays_choices_over_a_ready_made_source(tmp_path: Path) -> None:
    (tmp_path / "sources" / "mine").mkdir(parents=True)
    (tmp_path / "sources" / "mine" / "source.toml").write_text('library = "omop"\n[table.concept]\nquote = ""\n')
    (tmp_path / "sources" / "mine" / "death.sql").write_text("SELECT 1")
    mine = all_sources(Conf(tmp_path))["mine"]
    concept = next(t for t in mine.tables if t.name == "concept")
    assert (concept.quote, concept.key, mine.mappings["death"]) == ("", ("concept_id",), "SELECT 1")


@pytest.mark.parametrize("source", [*LIBRARY, "clinic_fhir"])
def test_each_record_of_the_files_is_in_bronze_or_in_quarantine(lake: Lake, home: Path, source: str) -> None:
    kept = lake.read("bronze.fhir_resource" if source == "clinic_fhir" else "bronze.csv_record").where(F.col("source") == source).count()
    aside = lake.read("quarantine.record").where((F.col("source") == source) & F.col("target").startswith("bronze.")).count()
    assert kept + aside == records(home / "landing" / source)
    assert aside == 0


def test_silver_holds_what_pandas_counts_in_the_files(lake: Lake, home: Path) -> None:
    told = expected(home / "landing")
    built = lake.read("ops.table_build").select("source", "table", "rows_kept").collect()
    have = {(r["source"], r["table"]): r["rows_kept"] for r in built if r["source"] != "clinic_fhir"}
    have |= {(r["source"], "person"): r["n"] for r in _persons(lake)}
    differ = {k: (have.get(k), n) for k, n in told.items() if have.get(k) != n}
    assert not differ, "silver and pandas"
    assert lake.read("quarantine.record").count() == 0


def test_all_that_came_in_is_accounted_for(lake: Lake, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    reconcile(Options(conf=home / "conf", lake=lake.root), "json")
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {t["source"] for t in told} == {*LIBRARY, "clinic_fhir"}
    assert all(t["ok"] == "yes" for t in told)


def _persons(lake: Lake):
    return lake.read("vault.id_vault").where("is_current").groupBy("source").agg(F.count("*").alias("n")).collect()


def of(lake: Lake, table: str, source: str, person: str):
    """A person's rows of a source, with dates moved back to what the mapping said."""
    keys = lake.read("vault.id_vault").where((F.col("source") == source) & (F.col("person_source_value") == person))
    shifts = lake.read("vault.date_offset")
    rows = lake.read(f"silver.{table}").where(F.col("source") == source) if table != "person" else lake.read("silver.person")
    return rows.join(keys.select("person_id"), on="person_id", how="left_semi").join(shifts, on="person_id", how="inner")


def test_values_units_and_flags_of_hand_picked_rows(lake: Lake) -> None:
    gap = of(lake, "measurement", "mimic", "10006").where("measurement_source_value = '1863-0'").orderBy("measurement_datetime").first()
    assert (gap["value_as_number"], gap["unit_source_value"], gap["unit_std"], gap["flag_source_value"]) == (19.0, "mEq/L", "meq/L", None)
    marked = of(lake, "measurement", "mimic", "10006").where("flag_source_value = 'abnormal'").count()
    assert marked > 0
    one = {r["measurement_source_value"]: r for r in of(lake, "measurement", "heart", "cleveland-1").collect()}
    assert {c: (r["value_as_number"], r["unit_std"]) for c, r in one.items()} == {
        "trestbps": (145.0, "mm[Hg]"), "2093-3": (233.0, "mg/dL"), "thalach": (150.0, "/min"), "oldpeak": (2.3, None), "ca": (0.0, None),
    }  # fmt: skip
    swiss = {r["measurement_source_value"]: r for r in of(lake, "measurement", "heart", "switzerland-1").collect()}
    assert "ca" not in swiss  # a question mark there
    assert swiss["2093-3"]["value_as_number"] == 0.0 and "value_out_of_range" in swiss["2093-3"]["qc"]
    ckd = {r["measurement_source_value"]: (r["value_std"], r["unit_std"]) for r in of(lake, "measurement", "kidney", "line-2").collect()}
    assert ckd["2160-0"] == (1.2, "mg/dL") and ckd["26464-8"] == (7800.0, "/uL") and "2951-2" not in ckd
    cdm = {(r["measurement_source_vocabulary"], r["measurement_source_value"], r["value_as_number"], r["unit_std"]) for r in of(lake, "measurement", "cdm", "1").collect()}
    assert ("LOINC", "29463-7", 48.1, "kg") in cdm


def test_ranges_of_the_diabetes_stays_are_numbers_with_an_operator(lake: Lake) -> None:
    rows = lake.read("silver.measurement").where("source = 'stays' AND measurement_source_value = '4548-4'")
    told = {(r["value_source_value"], r["operator"], r["value_as_number"], r["unit_std"]) for r in rows.collect()}
    assert told == {(">7", ">", 7.0, "%"), (">8", ">", 8.0, "%"), ("Norm", None, None, None)}


def test_intervals_of_mimic_are_kept_to_the_second(lake: Lake) -> None:
    stay = of(lake, "visit_occurrence", "mimic", "10006").first()
    assert (stay["visit_end_datetime"] - stay["visit_start_datetime"]).total_seconds() == 8 * 86400 + 20 * 3600 + 6 * 60
    born = [r["year_of_birth"] for r in lake.read("silver.person").where("source = 'mimic'").collect()]
    assert all(born) and len(born) == 100


# table → (what names a pair, what must be equal, reason → when it explains a difference)
FHIR_AND_CSV = {
    "condition_occurrence": (["person_id", "condition_source_value"], ["condition_start_datetime", "condition_source_vocabulary"], {
        "csv_tells_the_day_only": "date_format(r.condition_start_datetime, 'HHmmss') = '000000' AND l.condition_source_vocabulary = r.condition_source_vocabulary AND abs(timestampdiff(HOUR, r.condition_start_datetime, l.condition_start_datetime)) < 36",
    }),
    "procedure_occurrence": (["person_id", "procedure_source_value", "procedure_datetime"], ["procedure_source_vocabulary"], {
        "csv_repeats_the_row_without_a_key": "r IS NULL AND place > 1",
    }),
    "drug_exposure": (["person_id", "drug_source_value", "drug_exposure_start_datetime"], ["drug_source_vocabulary"], {}),
    "visit_occurrence": (["person_id", "visit_start_datetime"], ["visit_end_datetime", "visit_concept_id"], {}),
    "result": (["person_id", "code", "at"], ["number", "unit", "text", "kind"], {
        "csv_rounds_to_one_decimal": "abs(l.number - r.number) <= 0.0500001 AND l.unit <=> r.unit AND l.kind = r.kind",
        "csv_only_quality_of_life_years": "l IS NULL AND code IN ('QALY', 'DALY', 'QOLS')",
        "csv_calls_a_quantity_text": "l.kind = 'measurement' AND r.kind = 'observation' AND l.number = r.number",
        "fhir_panel_part_has_no_quantity": "l.kind = 'observation' AND r.kind = 'measurement' AND l.text = r.text",
        "csv_writes_a_blank_for_a_comma": "replace(l.text, ',', ' ') = r.text AND l.kind = r.kind",
    }),
}  # fmt: skip


def told_by(lake: Lake, table: str, source: str):
    """A source's rows of a silver table; `result`: of measurement and observation, in one shape."""
    if table != "result":
        return lake.read(f"silver.{table}").where(F.col("source") == source)
    parts = []
    for kind, text in (("measurement", "value_source_value"), ("observation", "value_as_string")):
        rows = lake.read(f"silver.{kind}").where(F.col("source") == source)
        number = F.col("value_as_number")
        parts.append(rows.select(
            "person_id", F.col(f"{kind}_source_value").alias("code"), F.col(f"{kind}_datetime").alias("at"), number.alias("number"),
            F.when(number.isNotNull(), F.col("unit_source_value")).alias("unit"),
            F.when(number.isNull(), F.col(text)).alias("text"), F.lit(kind).alias("kind"),
        ))  # fmt: skip
    return parts[0].unionByName(parts[1])


def test_the_same_patients_agree_from_fhir_and_from_csv(lake: Lake, capsys: pytest.CaptureFixture[str]) -> None:
    keys = lake.read("vault.id_vault").where("is_current AND source IN ('clinic_fhir', 'clinic_csv')")
    people = keys.groupBy("person_id").agg(F.count_distinct("source").alias("n")).collect()
    assert [r["n"] for r in people] == [2] * 8
    found = []
    for table, (key, compare, reasons) in FHIR_AND_CSV.items():
        pairs = paired(told_by(lake, table, "clinic_fhir"), told_by(lake, table, "clinic_csv"), key=key, compare=compare)
        found += [(table, r["reason"], r["n_rows"], r["n_persons"]) for r in agreement(pairs, reasons=reasons).orderBy("reason").collect()]
    with capsys.disabled():
        print("\n" + "\n".join(f"{table:22} {reason:36} {n:6} rows {p:3} patients" for table, reason, n, p in found))
    assert not [f for f in found if f[1] == UNEXPLAINED]
    agreeing = {table: n for table, reason, n, _ in found if reason == AGREE}
    assert agreeing == {"procedure_occurrence": 276, "drug_exposure": 121, "visit_occurrence": 156, "result": 943}
