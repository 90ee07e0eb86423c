"""The night as Dagster assets: one per step of conf/nightly.toml, each with two checks, and a schedule.

Use: pip install 'medlake[dagster]', then  dagster job execute -f conf/orchestration/dagster/definitions.py
-j medlake_night;  with dagster-webserver installed too, dagster dev -f … shows it and keeps the schedule.

Environment:
    MEDLAKE_LAKE, MEDLAKE_LANDING   the folders; those of conf/base.toml where absent
    MEDLAKE_CONF                    a conf folder of your own, laid over the project's
    MEDLAKE_SUBMIT                  the start of a spark-submit command, e.g. "spark-submit --master spark://host:7077
                                    --properties-file … --jars … --py-files …"; steps then run as jobs/<step>.py with
                                    --profile cluster. Where absent a step is `python -m medlake <step>`.
    MEDLAKE_JOBS                    folder of the scripts, if it is not the jobs/ of this checkout

A step tells its figures through Pipes, in a file on this machine: submit in client mode, with the extra there too.
"""

# Dagster reads the annotation of `context` as it stands, so annotations are no texts here.
import os
import shlex
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from medlake.doors.settings import Conf
from medlake.grammar.errors import InputRefusedError, MissingExtraError
from medlake.steps.runner import Plan, nightly

try:
    import dagster as dg
except ModuleNotFoundError as fault:
    raise MissingExtraError("dagster", "Dagster") from fault

ADDS_UP, EXIT_CODE = "ledger_adds_up", "exit_code"


def options(*names: str) -> list[str]:
    """The named options as the environment gives them; an absent one is left to conf/."""
    given = {name: os.environ.get(f"MEDLAKE_{name.upper()}") for name in names}
    return [part for name, value in given.items() if value for part in (f"--{name}", value)]


def command(step: str) -> list[str]:
    """What runs a step: spark-submit where MEDLAKE_SUBMIT says how, else this Python."""
    said = options("conf", "lake", "landing")
    submit = os.environ.get("MEDLAKE_SUBMIT")
    if not submit:
        return [sys.executable, "-m", "medlake", step, *said]
    jobs = Path(os.environ.get("MEDLAKE_JOBS") or Path(__file__).resolve().parents[3] / "jobs")
    return [*shlex.split(submit), str(jobs / f"{step}.py"), "--profile", "cluster", *said]


def run(context: dg.AssetExecutionContext, step: str) -> dict[str, Any]:
    """Run a step; what it tells of itself through Pipes: figures of its row in the ledger.

    Raises:
        dagster.Failure: the step did not finish. One that refused a source did, and its exit code says so.
    """
    reader = dg.PipesTempFileMessageReader()
    with dg.open_pipes_session(context, dg.PipesTempFileContextInjector(), reader, extras={"step": step}) as session:
        env = os.environ | session.get_bootstrap_env_vars()
        with subprocess.Popen(command(step), env=env) as process:
            try:
                code = process.wait()
            except BaseException:  # Dagster is told to end; the step is told too, and waited for
                process.send_signal(signal.SIGINT)
                raise
    told = session.get_custom_messages()
    if code not in (0, InputRefusedError.exit_code):
        raise dg.Failure(f"medlake {step} ended with exit code {code}")
    if not told:
        raise dg.Failure(f"medlake {step} ended without a word of its row in the ledger")
    return dict(told[-1])


def checked(row: dict[str, Any]) -> list[dg.AssetCheckResult]:
    """The two checks of a step: nothing vanished, and no input was refused."""
    kept = row["rows_kept"] + row["rows_quarantined"] + row["rows_merged"]
    rows = {name: row[name] for name in ("rows_in", "rows_kept", "rows_quarantined", "rows_merged")}
    warn = dg.AssetCheckSeverity.WARN  # a refused source does not hold the other sources up
    return [
        dg.AssetCheckResult(check_name=ADDS_UP, passed=row["rows_in"] == kept, metadata=rows),
        dg.AssetCheckResult(
            check_name=EXIT_CODE, passed=row["exit_code"] == 0, severity=warn, metadata={"code": row["exit_code"]}
        ),
    ]


def asset_of(plan: Plan) -> dg.AssetsDefinition:
    """One step as an asset."""

    @dg.asset(
        name=plan.step,
        deps=list(plan.after),
        group_name="night",
        retry_policy=dg.RetryPolicy(max_retries=plan.retries, delay=2),
        check_specs=[dg.AssetCheckSpec(name, asset=plan.step) for name in (ADDS_UP, EXIT_CODE)],
        description=f"medlake {plan.step}",
    )
    def step(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
        row = run(context, plan.step)
        return dg.MaterializeResult(metadata=row, check_results=checked(row))

    return step


def definitions() -> dg.Definitions:
    """Assets, job and schedule. One step at a time: a lake has one writer."""
    conf = os.environ.get("MEDLAKE_CONF")
    assets = [asset_of(plan) for plan in nightly(Conf(Path(conf) if conf else None))]
    job = dg.define_asset_job("medlake_night", selection=dg.AssetSelection.all(), executor_def=dg.in_process_executor)
    return dg.Definitions(
        assets=assets,
        jobs=[job],
        schedules=[dg.ScheduleDefinition(job=job, cron_schedule="0 2 * * *")],
        executor=dg.in_process_executor,
    )


defs = definitions()
