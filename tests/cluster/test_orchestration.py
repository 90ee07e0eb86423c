"""What is shipped in conf/orchestration/: it names the night's steps, and the Dagster job runs one for real."""

from __future__ import annotations

import ast
import configparser
import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest
from tests.nights import ROOT, conf_of

from medlake.doors import orchestrator
from medlake.doors.settings import Conf
from medlake.grammar.errors import MissingExtraError
from medlake.steps.runner import Plan, nightly

FOLDER = ROOT / "conf" / "orchestration"
PLANS = nightly(Conf())
AFTER = {plan.step: set(plan.after) for plan in PLANS}


def dagster_definitions() -> ModuleType:
    """A fresh copy of the module, as Dagster loads it."""
    spec = importlib.util.spec_from_file_location("medlake_dagster", FOLDER / "dagster" / "definitions.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def _no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CONF", "LAKE", "LANDING", "SUBMIT", "JOBS"):
        monkeypatch.delenv(f"MEDLAKE_{name}", raising=False)


@pytest.mark.usefixtures("_no_environment")
def test_the_asset_graph_is_the_night() -> None:
    graph = dagster_definitions().defs.resolve_asset_graph()
    nodes = {key.to_user_string(): graph.get(key) for key in graph.get_all_asset_keys()}
    assert {n: {k.to_user_string() for k in node.parent_keys} for n, node in nodes.items()} == AFTER
    checks = {(key.asset_key.to_user_string(), key.name) for key in graph.asset_check_keys}
    assert checks == {(step, check) for step in AFTER for check in ("ledger_adds_up", "exit_code")}


@pytest.mark.usefixtures("_no_environment")
def test_a_step_is_the_command_line_or_a_submitted_job(monkeypatch: pytest.MonkeyPatch) -> None:
    module = dagster_definitions()
    monkeypatch.setenv("MEDLAKE_LAKE", "/a lake")
    assert module.command("link") == [sys.executable, "-m", "medlake", "link", "--lake", "/a lake"]
    monkeypatch.setenv("MEDLAKE_SUBMIT", "spark-submit --master spark://host:7077")
    submitted = ["spark-submit", "--master", "spark://host:7077", str(ROOT / "jobs" / "link.py")]
    assert module.command("link") == [*submitted, "--profile", "cluster", "--lake", "/a lake"]


@pytest.mark.parametrize(("exit_code", "merged", "passed"), [(0, 1, [True, True]), (4, 1, [True, False]), (0, 0, [False, True])])
def test_the_checks_see_a_refused_source_and_a_lost_row(exit_code: int, merged: int, passed: list[bool]) -> None:
    row = {"rows_in": 6, "rows_kept": 3, "rows_quarantined": 2, "rows_merged": merged, "exit_code": exit_code}
    assert [result.passed for result in dagster_definitions().checked(row)] == passed


ROW = {"rows_in": 6, "rows_kept": 3, "rows_quarantined": 2, "rows_merged": 1}
TOLD = "from medlake.doors.orchestrator import tell; tell({'exit_code': %d, **" + repr(ROW) + "}); "
CODE = {"ledger_adds_up": True, "exit_code": True}


@pytest.mark.usefixtures("_no_environment")
@pytest.mark.parametrize(
    ("step", "ends"),
    [
        (TOLD % 0, CODE),
        (TOLD % 4 + "raise SystemExit(4)", CODE | {"exit_code": False}),
        (TOLD % 0 + "raise SystemExit(1)", "ended with exit code 1"),
        ("raise SystemExit(4)", "ended without a word"),
    ],
    ids=["done", "refused", "failed", "silent"],
)
def test_what_a_step_tells_is_heard_however_it_ends(monkeypatch: pytest.MonkeyPatch, step: str, ends: object) -> None:
    module = dagster_definitions()
    monkeypatch.setattr(module, "command", lambda name: [sys.executable, "-c", step])
    plan = Plan("link", (), 0)
    done = module.dg.materialize([module.asset_of(plan)], raise_on_error=False)
    if isinstance(ends, str):
        assert not done.success and ends in str(done.failure_data_for_node("link").error)
    else:
        assert {event.check_name: event.passed for event in done.get_asset_check_evaluations()} == ends
        said = done.asset_materializations_for_node("link")[0].metadata
        assert {name: said[name].value for name in ROW} == ROW


def test_nothing_is_told_where_nobody_listens_and_a_missing_library_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "dagster_pipes", None)
    monkeypatch.delenv(orchestrator.MESSAGES, raising=False)
    orchestrator.tell(ROW)
    monkeypatch.setenv(orchestrator.MESSAGES, "somewhere")
    with pytest.raises(MissingExtraError, match=r"pip install 'medlake\[dagster\]'"):
        orchestrator.tell(ROW)


def test_without_dagster_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "dagster", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'medlake\[dagster\]'"):
        dagster_definitions()


@pytest.mark.slow
def test_the_dagster_job_takes_a_landing_folder_in(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    conf = conf_of(tmp_path / "conf")
    source = conf / "sources" / "westside"
    source.mkdir(parents=True)
    (source / "source.toml").write_text('[table.leute]\nfiles = "leute*.csv"\nseparator = ";"\nkey = ["pid"]\n')
    (source / "person.sql").write_text("SELECT pid AS person_source_value FROM leute\n")
    landing = tmp_path / "landing" / "westside"
    landing.mkdir(parents=True)
    (landing / "leute1.csv").write_text("pid;geschl\n1;M\n2;W\n;M\n")
    for name, folder in (("CONF", conf), ("LAKE", tmp_path / "lake"), ("LANDING", tmp_path / "landing")):
        monkeypatch.setenv(f"MEDLAKE_{name}", str(folder))
    monkeypatch.delenv("MEDLAKE_SUBMIT", raising=False)
    module = dagster_definitions()
    key = module.dg.AssetKey("ingest")
    done = module.defs.resolve_job_def("medlake_night").execute_in_process(asset_selection=[key])
    assert done.success
    checks = {event.check_name: event.passed for event in done.get_asset_check_evaluations()}
    assert checks == {"ledger_adds_up": True, "exit_code": True}
    said = done.asset_materializations_for_node("ingest")[0].metadata
    assert (said["rows_in"].value, said["rows_kept"].value, said["rows_quarantined"].value) == (3, 2, 1)


def test_the_airflow_dag_is_python_and_repeats_the_night() -> None:
    tree = ast.parse((FOLDER / "airflow" / "medlake_dag.py").read_text(encoding="utf-8"))
    found = {
        node.targets[0].id: ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign) and node.targets[0].id in {"AFTER", "NOT_AGAIN"}
    }
    assert {step: set(after) for step, after in found["AFTER"].items()} == AFTER
    assert found["NOT_AGAIN"] == {plan.step for plan in PLANS if plan.retries == 0}


def test_systemd_and_cron_start_the_night() -> None:
    service = configparser.ConfigParser(interpolation=None, strict=False)
    service.optionxform = str
    service.read_string((FOLDER / "medlake-night.service").read_text(encoding="utf-8"))
    assert service["Service"]["ExecStart"].split()[:2] == ["/opt/medlake/bin/medlake", "night"]
    timer = (FOLDER / "medlake-night.timer").read_text(encoding="utf-8")
    assert "OnCalendar=" in timer
    jobs = [x for x in (FOLDER / "medlake.crontab").read_text(encoding="utf-8").splitlines() if x[:1].isdigit()]
    assert len(jobs) == 1 and "medlake night --conf" in jobs[0]
