"""SQL-on-FHIR v2: the public suite, what a view may not say, and the same rows from Spark as from one process."""

from __future__ import annotations

import json
import stat
from collections import Counter
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession
from tests.shared import VIEW_SUITE, shared
from tests.spec.standards.view_suite import MISSED, cases, failure, plain
from tests.tables import assert_rows, rows

from medlake.doors.lake import Lake
from medlake.grammar.errors import UsageError
from medlake.standards.fhirpath import parse
from medlake.standards.moments import boundary, compared
from medlake.standards.paths import Scope, compiled
from medlake.standards.views import FAULT, compile_view, rows_or_fault, to_rows
from medlake.steps import view
from medlake.steps.context import Context

CASES = list(cases(VIEW_SUITE)) if VIEW_SUITE.is_dir() else []
PATIENT: dict[str, Any] = {
    "resourceType": "Patient", "id": "p1", "active": True, "birthDate": "1980-02",
    "name": [{"use": "official", "family": "Ash", "given": ["Ann", "Bea"]}, {"use": "old", "family": "Birch"}],
    "deceasedDateTime": "2020-02-29", "multipleBirthInteger": 2,
    "managingOrganization": {"reference": "http://a.org/fhir/Organization/o-1/_history/2"},
    "generalPractitioner": [{"reference": "Practitioner/d.1"}, {"reference": "#c"}, {"reference": "urn:uuid:u-1"}],
}  # fmt: skip


def found(path: str, hint: str | None = None, **constants: Any) -> list[Any]:
    return compiled(parse(path), constants, hint)([PATIENT], Scope(PATIENT, 3, PATIENT))


def a_view(*columns: tuple[str, str, str], **more: Any) -> dict[str, Any]:
    made = [{"name": name, "path": path, "type": kind} for name, path, kind in columns]
    return {"resource": "Patient", "select": [{"column": made}], **more}


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_the_public_suite(case: Any) -> None:
    wrong = failure(case)
    if case.name in MISSED:
        assert wrong is not None, "it passes now: take it off the list"
        pytest.xfail(MISSED[case.name])
    assert wrong is None, wrong


def test_nine_tenths_of_the_public_suite_pass() -> None:
    shared("standards", "sql-on-fhir")
    assert len(CASES) >= 130
    assert len(MISSED) <= len(CASES) / 10


def test_a_wrong_answer_would_be_noticed() -> None:
    case = next(iter(cases(shared("standards", "sql-on-fhir"))))
    case.said["expect"][0]["id"] = "somebody else"
    assert "lacking" in str(failure(case))


@pytest.mark.parametrize(
    ("path", "want"),
    [
        ("name.family", ["Ash", "Birch"]),
        ("Patient.name.first().given.last()", ["Bea"]),
        ("Observation.name", []),
        ("name.where(use = 'old' or family = 'none').family", ["Birch"]),
        ("name[1].family", ["Birch"]),
        ("name.given.count() + 1", [3]),
        ("name.select(given.first()).join('+')", ["Ann"]),
        ("deceased.ofType(dateTime).exists()", [True]),
        ("deceased.ofType(boolean)", []),
        ("deceased is dateTime", [True]),
        ("multipleBirth", [2]),
        ("multipleBirth.ofType(integer) * 1.5", [Decimal("3.0")]),
        ("1 / 0", []),
        ("7 div 2 - -1", [4]),
        ("7 mod 2 = 1", [True]),
        ("'it''s'.length() > 2", None),
        ("'it\\'s'", ["it's"]),
        ("active and (nothing.exists() or {})", []),
        ("active implies false", [False]),
        ("nothing = 1", []),
        ("name.family = 'Ash'", [False]),
        ("name.use contains 'old'", [True]),
        ("'old' in name.use", [True]),
        ("(name.use | 'old').count()", [2]),
        ("name.exists(use = 'usual')", [False]),
        ("name.all(family.exists())", [True]),
        ("iif(active, 'yes', 'no')", ["yes"]),
        ("birthDate < @1980-03", [True]),
        ("birthDate < @1980", []),  # the precision does not tell
        ("birthDate.lowBoundary()", ["1980-02-01"]),
        ("birthDate.highBoundary()", ["1980-02-29"]),
        ("deceased.ofType(dateTime).lowBoundary()", ["2020-02-29T00:00:00.000+14:00"]),
        ("1.50.highBoundary()", [Decimal("1.505")]),
        ("getResourceKey()", ["p1"]),
        ("managingOrganization.getReferenceKey()", ["o-1"]),
        ("managingOrganization.getReferenceKey(Organization)", ["o-1"]),
        ("managingOrganization.getReferenceKey(Patient)", []),
        ("generalPractitioner.getReferenceKey()", ["d.1", "u-1"]),
        ("%rowIndex", [3]),
        ("%word & '!'", ["hey!"]),
        ("name.given.where($this.startsWith('B'))", ["Bea"]),
        ("name.given.where($index = 1)", ["Bea"]),
    ],
)
def test_what_a_path_finds(path: str, want: list[Any] | None) -> None:
    if want is None:
        with pytest.raises(UsageError, match="did not expect"):
            found(path)
    else:
        assert found(path, word="hey") == want


def test_the_type_of_a_column_tells_a_date_from_a_date_time() -> None:
    assert found("birthDate.lowBoundary()", hint="dateTime") == ["1980-02-01T00:00:00.000+14:00"]


@pytest.mark.parametrize(
    ("left", "right", "order"),
    [
        ("2020-01-01", "2020-01-02", -1),
        ("2020-01-01", "2020", None),
        ("2020-01-01T12:00:00Z", "2020-01-01T13:00:00+01:00", 0),
        ("2020-01-01T12:00:00Z", "2020-01-01T12:00:00", None),
        ("2020-01-01T12:00:00.5Z", "2020-01-01T12:00:00.25Z", 1),
        ("2020-13-45", "2020-01-01", NotImplemented),
        ("Ash", "2020", NotImplemented),
    ],
)
def test_times_are_compared_as_far_as_they_are_told(left: str, right: str, order: Any) -> None:
    assert compared(left, right) == order


@pytest.mark.parametrize(("value", "low"), [(True, []), ({"a": 1}, []), ("red", []), ("2020-13", []), (None, [])])
def test_what_has_no_boundary(value: Any, low: list[Any]) -> None:
    assert boundary(value, is_low=True, hint=None) == low


@pytest.mark.parametrize("path", ["@@", "name..given", "name.", "(name", "name.first(", "", 5, None, "a ? b", "(" * 99])
def test_a_path_that_cannot_be_read_is_refused(path: Any) -> None:
    with pytest.raises(UsageError, match="view: "):
        parse(path)


@pytest.mark.parametrize(
    ("definition", "said"),
    [
        ([], "JSON object"),
        ({"select": [{}]}, "its resource"),
        ({"resource": "Patient"}, "no select"),
        ({"resource": "Patient", "select": "x"}, "list of objects"),
        (a_view(("a b", "id", "id")), "letters, digits"),
        (a_view(("a", "id", "id"), ("a", "id", "id")), "stand twice: a"),
        (a_view(("a", "%b", "id")), "no constant %b"),
        (a_view(("a", "b()", "id")), r"no function b\(\)"),
        (a_view(("a", "first(1)", "id")), "0 to 0 arguments"),
        (a_view(("a", "id", "id"), constant=[{"name": "c"}]), r"one value\[x\]"),
        ({"resource": "Patient", "select": [{"repeat": "item", "column": []}]}, "list of paths"),
        ({"resource": "Patient", "select": [{"forEach": "a", "forEachOrNull": "b"}]}, "cannot have forEach and"),
    ],
)
def test_a_view_that_is_not_sound_is_refused(definition: Any, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        compile_view(definition)


@pytest.mark.parametrize(
    ("column", "said"),
    [
        (("a", "name.family", "string"), "column a has several values"),
        (("a", "birthDate", "boolean"), "column a has a value that is no boolean"),
        (("a", "birthDate", "integer"), "no int"),
        (("a", "99999999999", "integer"), "no int"),
        (("a", "name < 1", "boolean"), "takes one value"),
    ],
)
def test_a_resource_that_does_not_fit_is_told_without_its_values(column: tuple[str, str, str], said: str) -> None:
    with pytest.raises(UsageError, match=said) as fault:
        compile_view(a_view(column)).rows(PATIENT)
    assert "Ash" not in str(fault.value) and "1980" not in str(fault.value)


def test_a_text_that_is_no_json_is_told_and_a_byte_order_mark_is_nothing() -> None:
    ids = compile_view(a_view(("id", "id", "id")))
    assert rows_or_fault(ids, "\ufeff" + json.dumps(PATIENT)) == [("p1", None)]
    assert rows_or_fault(ids, "{") == [(None, "view: a resource in bronze cannot be read as JSON")]


def test_an_element_in_a_text_column_is_its_json() -> None:
    (row,) = compile_view(a_view(("o", "managingOrganization", "string"))).rows(PATIENT)
    assert json.loads(row[0]) == PATIENT["managingOrganization"]


def test_spark_gives_the_rows_that_one_process_gives(spark: SparkSession) -> None:
    shared("standards", "sql-on-fhir")
    wanted = ("foreach", "repeat", "union", "collection", "fhirpath_numbers")
    tried = [c for c in CASES if c.file in wanted and not c.said.get("expectError")]
    chosen = {c.file: c for c in tried if c.said["expect"]}.values()  # one of each file: a Spark job each
    assert len(chosen) == len(wanted)
    for case in chosen:
        texts = [(json.dumps(r, default=float),) for r in case.resources]
        frame = to_rows(spark.createDataFrame(texts, "json string").repartition(3), case.said["view"])
        have = Counter(plain(row.asDict()) for row in frame.drop(FAULT).collect())
        assert have == Counter(map(plain, case.said["expect"])), case.name


def bronze(spark: SparkSession, root: Path) -> Lake:
    """A lake whose bronze knows a patient in two versions, one that was deleted, and one of another source."""
    lake = Lake(spark, root)
    lake.merge("bronze.fhir_resource", rows(spark, "bronze.fhir_resource", """
        source | source_table | file | file_sha256 | row | batch | resource_type | resource_id | version_id | last_updated        | json                                                                         | is_deleted | run_id | ingested_at         | row_hash | patient_key
        north  | Patient      | a    | h1          | 1   | 1     | Patient       | p1          | 1          | 2020-01-01 00:00:00 | {"resourceType":"Patient","id":"p1","name":[{"family":"Old"}]}               | false      | r      | 2020-01-01 00:00:00 | x        | null
        north  | Patient      | a    | h1          | 2   | 1     | Patient       | p2          | 1          | 2020-01-01 00:00:00 | {"resourceType":"Patient","id":"p2","name":[{"family":"Gone"}]}              | false      | r      | 2020-01-01 00:00:00 | x        | null
        north  | Patient      | b    | h2          | 1   | 2     | Patient       | p1          | 2          | 2020-01-02 00:00:00 | {"resourceType":"Patient","id":"p1","name":[{"family":"=New","given":["A","B"]}]} | false  | r      | 2020-01-01 00:00:00 | x        | null
        north  | Patient      | c    | h3          | 1   | 2     | Patient       | p2          | null       | null                | null                                                                         | true       | r      | 2020-01-01 00:00:00 | x        | null
        south  | Patient      | d    | h4          | 1   | 1     | Patient       | p1          | null       | null                | {"resourceType":"Patient","id":"p1","name":[{"family":"South"}]}             | false      | r      | 2020-01-01 00:00:00 | x        | null
        north  | Device       | e    | h5          | 1   | 1     | Device        | d1          | null       | null                | {"resourceType":"Device","id":"d1"}                                          | false      | r      | 2020-01-01 00:00:00 | x        | null
    """))  # fmt: skip
    return lake


@pytest.fixture(scope="module")
def bronze_lake(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Lake:
    return bronze(spark, tmp_path_factory.mktemp("bronze"))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    definition = a_view(("id", "id", "id"), ("family", "name.family", "string"))
    definition["select"][0]["column"].append({"name": "given", "path": "name.given", "type": "string", "collection": True})
    path = tmp_path / "view.json"
    path.write_text(json.dumps(definition))
    return path


def test_a_view_sees_the_newest_version_and_nothing_deleted(bronze_lake: Lake, file: Path) -> None:
    definition = view.read_definition(file)
    assert_rows(to_rows(view.current(bronze_lake, "Patient", None), definition), """
        id | family | given
        p1 | =New   | [A, B]
        p1 | South  | []
    """)  # fmt: skip
    assert view.current(bronze_lake, "Patient", "south").count() == 1


def test_a_view_is_written_whole_for_its_owner_alone_and_noted(
    context: Callable[..., Context], bronze_lake: Lake, file: Path, tmp_path: Path
) -> None:
    ctx = context(str(file), tmp_path / "out")
    ctx.lake, ctx.extra = bronze_lake, {"form": "csv", "source": "north"}
    assert view.run(ctx).kept == 1
    assert stat.S_IMODE((tmp_path / "out").stat().st_mode) == 0o700
    text = "".join(path.read_text() for path in (tmp_path / "out").iterdir())
    assert text.replace("id,family,given\n", "") == 'p1,\'=New,"[""A"",""B""]"\n'
    assert_rows(bronze_lake.read("ops.export"), """
        table   | standard | n_rows
        Patient | view     | 1
    """)  # fmt: skip


def test_a_resource_that_does_not_fit_ends_the_view_with_a_sentence(
    context: Callable[..., Context], bronze_lake: Lake, tmp_path: Path
) -> None:
    wrong = tmp_path / "wrong.json"
    wrong.write_text(json.dumps(a_view(("given", "name.given", "string"))))
    ctx = context(str(wrong), tmp_path / "out")
    ctx.lake = bronze_lake
    with pytest.raises(UsageError, match="view: column given has several values in a resource"):
        view.run(ctx)
    assert not (tmp_path / "out").exists()
    assert not list(tmp_path.glob(".*"))


def test_a_lenient_view_leaves_such_resources_out_and_counts_them(
    context: Callable[..., Context], bronze_lake: Lake, tmp_path: Path
) -> None:
    wrong = tmp_path / "wrong.json"
    wrong.write_text(json.dumps(a_view(("given", "name.given", "string")) | {"name": "lenient"}))
    ctx = context(str(wrong), tmp_path / "out")
    ctx.lake, ctx.extra = bronze_lake, {"form": "json", "lenient": "yes"}
    assert view.run(ctx).kept == 1  # the patient of south has no given name at all
    assert_rows(bronze_lake.read("ops.export").where("table = 'lenient'"), """
        n_rows | n_left_out
        1      | 1
    """)  # fmt: skip


@pytest.mark.parametrize("text", [None, "{", "[]"])
def test_a_file_without_a_view_is_refused(tmp_path: Path, text: str | None) -> None:
    path = tmp_path / "v.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(UsageError, match="view: "):
        view.read_definition(path)
